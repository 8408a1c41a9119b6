# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory that begins anywhere, and a kernel at other addresses, on aarch64 and riscv64."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kdump_initrd.saver.arch import of_elf
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.memory.vmcoreinfo import VmcoreInfo

from .description import parse
from .filtering import expected, judge
from .layout import Layout
from .ports import PORTS, aarch64, riscv64
from .synthetic import KINDS_OF_PAGES, build

NAMES = [*aarch64.PORTS, *riscv64.PORTS]
#: Those whose entries hold 52 bits of a physical address. A dump has 2^36 page frames at most, so
#: only large pages reach so far.
WIDE = [name for name, port in aarch64.PORTS.items() if port.shift == 16 and port.bits == 52]
STARTS = {"0": NAMES, "1G": NAMES, "2T+1G": NAMES, "512T+3G": WIDE, "4095T": WIDE}


def described(name: str, start: str, more: str) -> Layout:
    """A machine with every kind of page, whose memory begins there."""
    text = f"port {name}\nkernel 6.12\n{more}\nmemory {start}-{start}+0x2800P\n"
    first = parse(text).memory[0][0] // PORTS[name].page
    moved = re.sub(r"0x\w+", lambda found: hex(int(found[0], 16) + first), KINDS_OF_PAGES)
    return parse(text + moved)


@pytest.mark.parametrize("more", ["kaslr", "vmemmap small"])
@pytest.mark.parametrize(
    ("name", "start"), [(name, start) for start, names in STARTS.items() for name in names]
)
def test_every_kind(tmp_path: Path, name: str, start: str, more: str) -> None:
    layout = described(name, start, more)
    memory = open_dump(str(build(layout, tmp_path / "vmcore")))
    found = judge(memory, layout.info, 31)
    assert (found.level, found.note) == (31, "")
    assert found.left_out == expected(layout, 31)
    # What an ELF dump of it would have.
    architecture, info = of_elf(memory.abi.machine), VmcoreInfo(memory.notes.vmcoreinfo)
    assert architecture.direct_map(memory, info) == layout.page_offset
    image = architecture.kernel_image(memory, info)
    assert image and image[:2] == (layout.place.text, layout.base)
    memory.close()
