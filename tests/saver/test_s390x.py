# SPDX-License-Identifier: GPL-2.0-or-later
"""s390x: the image of the kernel outside of the identity mapping, and tables of any depth."""

from __future__ import annotations

import pytest

from kdump_initrd.saver.arch import of_elf
from kdump_initrd.saver.low.failure import SaverError

from .mmu import Machine
from .pagetables import LARGE

S390X = of_elf(22)
NAMES = ["s390x", "s390x-region2"]


def image(machine: Machine) -> tuple[int, int, int] | None:
    return S390X.kernel_image(machine.memory, machine.vmcoreinfo())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("more", [0, 1, 5, 300])
def test_it_ends_where_nothing_follows(name: str, more: int) -> None:
    """Its last pages are small ones, after which is nothing."""
    machine = Machine(name, 1)
    start = machine.port.text(machine.layout)
    machine.info["SYMBOL(_stext)"] = f"{start:x}"
    end, base = start + LARGE, machine.layout.base + LARGE
    machine.tables.map_range(end, base, more << 12, level=0)
    machine.tables.map(end + (more + 1 << 12), base + (more + 1 << 12), level=0)
    machine.write()
    assert image(machine) == (start, machine.layout.base, LARGE + (more << 12))


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_where_something_else_follows(name: str) -> None:
    machine = Machine(name, 1)
    start = machine.port.text(machine.layout)
    machine.tables.map(start + LARGE, 0x7000, level=0)
    machine.write()
    assert image(machine) == (start + 0x10000, machine.layout.base + 0x10000, LARGE - 0x10000)


def test_no_image_of_its_own() -> None:
    machine = Machine("s390x-one", 1)
    machine.write()
    assert image(machine) is None
    assert S390X.direct_map(machine.memory, machine.vmcoreinfo()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SYMBOL(_stext)": "3ffe0a00000"}, "the kernel's image is not where SYMBOL(_stext) says"),
        ({"SYMBOL(_stext)": "0"}, "the kernel's image is not where SYMBOL(_stext) says"),
        ({"SYMBOL(_stext)": None}, "VMCOREINFO has no SYMBOL(_stext)"),
        ({"SYMBOL(swapper_pg_dir)": "3ffe0900000"}, "no such memory"),
        ({"KERNELOFFPHYS": None}, "VMCOREINFO has no KERNELOFFPHYS"),
        ({"IDENTITYBASE": None}, "VMCOREINFO has no IDENTITYBASE"),
        ({"KERNELOFFSET": "what"}, "VMCOREINFO has no KERNELOFFSET"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, str | None], message: str) -> None:
    machine = Machine("s390x", 1)
    machine.write()
    told = {**machine.info, **changes}
    machine.info = {key: value for key, value in told.items() if value is not None}
    with pytest.raises(SaverError) as caught:
        image(machine)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", [*NAMES, "s390x-one"])
def test_addresses_beyond_the_first_table_are_none(name: str) -> None:
    """A table that has fewer levels must not be taken for one that has more."""
    machine = Machine(name, 1)
    machine.map_some(20)
    machine.write()
    locate = S390X.translator(machine.memory, machine.vmcoreinfo())
    top = sum(machine.shape.levels[-1])
    for start, (target, _) in machine.places.items():
        assert locate(start)[0] == target
        for bit in range(top, 64):
            if start | 1 << bit != start:
                with pytest.raises(SaverError, match="is not in the dump"):
                    locate(start | 1 << bit)
