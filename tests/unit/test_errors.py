# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors, log lines, and where the data folders are."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from kdump_initrd.core import log, resources
from kdump_initrd.core.errors import KdumpInitrdError, UsageError
from kdump_initrd.core.root import Root


def test_errors_carry_message_hint_and_status() -> None:
    error = KdumpInitrdError("disk: full", hint="make room")
    assert (str(error), error.message, error.hint) == ("disk: full", "disk: full", "make room")
    assert (error.exit_status, UsageError("x").exit_status, UsageError("x").hint) == (1, 2, None)


def test_log_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger("kdump-initrd")
    before = (root.handlers[:], root.level, root.propagate)
    try:
        log.set_up(logging.INFO)
        logger = log.get_logger("kdump_initrd.image.archive.cpio")
        logger.debug("not this")
        logger.warning("file %s is odd", "\x1b[31mx")
        with log.step("Doing it"):
            pass
    finally:
        root.handlers[:], root.level, root.propagate = before
    out, err = capsys.readouterr()
    assert out == ""
    warning, step = err.splitlines()
    assert warning == r"kdump-initrd: warning: file \x1b[31mx is odd"
    assert re.fullmatch(r"Doing it +0\.\d\d s", step)


def test_a_failed_step_is_not_called_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="kdump-initrd")
    with pytest.raises(ValueError, match="x"), log.step("Doing it"):
        raise ValueError("x")
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["templates", "hooks", "distros"])
def test_data_folders(tmp_path: Path, kind: str) -> None:
    (shipped,) = resources.search_path(kind, root=Root(tmp_path))
    assert shipped.is_dir() and shipped.name == kind
    override = tmp_path / "etc/kdump-initrd" / kind
    override.mkdir(parents=True)
    assert resources.search_path(kind, root=Root(tmp_path)) == (override, shipped)


def test_a_missing_data_folder(tmp_path: Path) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        resources.search_path("nothing", root=Root(tmp_path))
    assert caught.value.message.endswith("/nothing: data folder not found")
    assert caught.value.hint == "reinstall kdump-initrd: its wheel is incomplete"
