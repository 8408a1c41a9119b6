# SPDX-License-Identifier: GPL-2.0-or-later
"""Described machines of other architectures: their makedumpfile leaves out the same pages as we do.

So the page tables, addresses and memory models of tests.saver.ports are what others, too, take for
those of Linux, of machines of which no kernel is at hand as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.saver.comparing import differences, ours, theirs
from tests.saver.minireader import MiniReader
from tests.saver.ports import PORTS, aarch64, i386
from tests.saver.synthetic import KINDS_OF_PAGES, build
from tests.vm import rivals
from tests.vm.architectures import AARCH64, I386
from tests.vm.suites import Suite

pytestmark = [pytest.mark.qemu, pytest.mark.full, pytest.mark.timeout(600)]

#: With highmem on i386.
MEMORY = "memory 0-0x2000P, 0x4000P-0x4800P"
HIGHMEM = "memory 0-36M, 724M-726M, 890M-898M, 1022M-1026M"
#: What makedumpfile 1.7.2 knows: 52 bits with pages of 64 KiB only, and one byte order.
KNOWN = [
    name
    for name, port in aarch64.PORTS.items()
    if not port.machine.big and (port.bits < 52 or port.shift == 16)
]


def compare(tmp_path: Path, suite: Suite, text: str) -> None:
    """Let both save a described machine of Linux 6.1, which 1.7.2 knows."""
    vmcore = build(f"{text}\n{KINDS_OF_PAGES}\n", tmp_path / "vmcore")
    machine = PORTS[text.split()[1]].machine
    argv = rivals.makedumpfile_of(suite)
    assert rivals.version(argv) == "makedumpfile 1.7.2"
    rival = theirs(argv, tmp_path, vmcore, 31, machine)
    text = differences(MiniReader(ours(tmp_path, vmcore, 31), machine), rival)
    assert not text, text


@pytest.mark.parametrize("more", ["kaslr", "vmemmap small"])
@pytest.mark.parametrize("name", KNOWN)
def test_aarch64(tmp_path: Path, name: str, more: str) -> None:
    text = f"port {name}\nkernel 6.1\n{more}\n{MEMORY}"
    compare(tmp_path, Suite("bookworm", AARCH64), text)


@pytest.mark.parametrize("model", ["flat", "static"])
@pytest.mark.parametrize("memory", [MEMORY, HIGHMEM])
@pytest.mark.parametrize("name", list(i386.PORTS))
def test_i386(tmp_path: Path, name: str, memory: str, model: str) -> None:
    text = f"port {name}\nmodel {model}\nkernel 6.1\n{memory}"
    compare(tmp_path, Suite("bookworm", I386), text)
