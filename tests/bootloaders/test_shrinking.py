# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory that is given back: no more than is too much, and only while nothing is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.core.root import Root
from kdump_initrd.upkeep.ready.readiness import Running
from kdump_initrd.upkeep.reserving import shrinking

from .layouts import put

MIB = 1 << 20


@pytest.mark.parametrize("name", ["sys/kernel/kexec/crash_size", "sys/kernel/kexec_crash_size"])
@pytest.mark.parametrize(
    ("reserved", "loaded", "wanted", "left"),
    [(256, False, 112, 112), (256, True, 112, 256), (112, False, 112, 112), (96, False, 112, 96),
     (256, False, 0, 256)],
)  # fmt: skip
def test_what_is_left(
    tmp_path: Path, name: str, reserved: int, loaded: bool, wanted: int, left: int
) -> None:
    path = put(tmp_path, name, f"{reserved * MIB}\n")
    shrinking.give_back(Root(tmp_path), Running(b"", reserved, loaded=loaded), wanted)
    assert path.read_text() == f"{left * MIB}\n"


def test_a_kernel_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Running(b"", 256, loaded=False)
    shrinking.give_back(Root(tmp_path), machine, 112)
    assert caplog.text == ""
    put(tmp_path, "sys/kernel/kexec_crash_size", "1\n")

    def refuse(path: Path, text: str) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(Path, "write_text", refuse)
    shrinking.give_back(Root(tmp_path), machine, 112)
    assert "kexec_crash_size: Invalid argument: all of the reservation stays" in caplog.text
