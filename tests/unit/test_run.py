# SPDX-License-Identifier: GPL-2.0-or-later
"""Running programs: results, deadlines, and what a failure says."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.run import find, run


def test_result_and_environment() -> None:
    done = run(["sh", "-c", "cat; echo $LC_ALL >&2; exit 3"], timeout=10, check=False, stdin=b"in")
    assert (done.status, done.stdout, done.stderr) == (3, b"in", "C.UTF-8\n")


def test_stdin_is_empty_unless_given() -> None:
    assert run(["cat"], timeout=10).stdout == b""


def test_missing_program() -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        run(["no-such-program", "-x"], timeout=1)
    assert caught.value.message == "no-such-program: program not found"
    assert caught.value.hint == "install no-such-program"


def test_failure_shows_command_status_and_the_end_of_stderr() -> None:
    script = "for i in $(seq 1 30); do echo line $i >&2; done; exit 7"
    with pytest.raises(KdumpInitrdError) as caught:
        run(["sh", "-c", script], timeout=10)
    lines = caught.value.message.splitlines()
    assert lines[0] == f"sh -c '{script}': exit status 7"
    assert lines[1:] == [f"line {number}" for number in range(11, 31)]


def test_deadline() -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        run(["sleep", "20"], timeout=0.1)
    assert caught.value.message == "sleep 20: not finished after 0.1 s"


def test_memory_is_limited() -> None:
    grow = [sys.executable, "-S", "-c", "len(bytes(1 << 29))"]
    assert run(grow, timeout=20).status == 0
    assert "MemoryError" in run(grow, timeout=20, check=False, memory=1 << 28).stderr


def test_words_are_logged_as_they_could_be_typed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="kdump-initrd"):
        run(["echo", Path("a b")], timeout=10)
    assert "+ echo 'a b'" in caplog.text


def test_sbin_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setattr("kdump_initrd.core.run._SBIN", str(tmp_path))
    assert find("tool") == str(tool)
    assert find("no-such-program") is None
