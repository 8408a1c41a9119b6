# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's image where it is not in the direct map: where it begins, and where it ends."""

from __future__ import annotations

import pytest

from kdump_initrd.saver.arch import of_elf
from kdump_initrd.saver.low.failure import SaverError

from .mmu import Machine
from .pagetables import LARGE
from .ports.aarch64 import PORTS as AARCH64
from .ports.riscv64 import PORTS as RISCV64


def image(machine: Machine) -> tuple[int, int, int] | None:
    architecture = of_elf(machine.port.machine.number)
    return architecture.kernel_image(machine.memory, machine.vmcoreinfo())


@pytest.mark.parametrize("lines", ["", "kaslr"])
@pytest.mark.parametrize("name", [*AARCH64, *RISCV64])
def test_it_is_found(name: str, lines: str) -> None:
    machine = Machine(name, 0, lines)
    machine.write()
    assert image(machine) == (machine.port.text(machine.layout), machine.layout.base, LARGE)


@pytest.mark.parametrize("name", list(AARCH64))
def test_what_was_for_the_start_only_is_a_hole(name: str) -> None:
    """Modules behind it are where other memory is."""
    machine = Machine(name, 1)
    text, base, page = machine.port.text(machine.layout), machine.layout.base, machine.port.page
    hole, rest = 3 << 20, 128 << 10
    machine.tables.map_range(text + LARGE + hole, base + LARGE + hole, rest, level=0)
    modules = text + LARGE + hole + rest
    machine.tables.map_range(modules, base + LARGE + hole + rest + page, rest, level=0)
    machine.tables.map_range(text - rest, base + 2 * LARGE, rest, level=0)
    machine.write()
    assert image(machine) == (text, base, LARGE + hole + rest)


@pytest.mark.parametrize("name", list(AARCH64))
def test_none_is_there_without_page_tables(name: str) -> None:
    machine = Machine(name, 1)
    assert image(machine) is None


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("NUMBER(MODULES_VADDR)", "0", "VMCOREINFO: a kernel image of "),
        ("NUMBER(MODULES_END)", "-1", "VMCOREINFO: a kernel image of "),
        ("NUMBER(MODULES_END)", "", "VMCOREINFO has no NUMBER(MODULES_END)"),
        ("NUMBER(va_kernel_pa_offset)", "", "VMCOREINFO has no NUMBER(va_kernel_pa_offset)"),
    ],
)
def test_riscv64_tells_where_it_is_or_does_not(key: str, value: str, wanted: str) -> None:
    machine = Machine("riscv64-sv48", 0)
    machine.info[key] = value
    with pytest.raises(SaverError) as caught:
        image(machine)
    assert str(caught.value).startswith(wanted)
