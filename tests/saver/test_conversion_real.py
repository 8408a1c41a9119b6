# SPDX-License-Identifier: GPL-2.0-or-later
"""A real crash through vmcore-save: what makedumpfile and drgn see before and after."""

from __future__ import annotations

import subprocess
from pathlib import Path

import drgn
import pytest

from kdump_initrd.commands.vmcoresave import main
from kdump_initrd.saver.arch import of_elf
from kdump_initrd.saver.crash.facts import Crash
from kdump_initrd.saver.formats.dumpfile import open_dump
from tests.vm.kernels import newest
from tests.vm.vmcores import raw_vmcore

from .converting import convert
from .vmcore import PAGE

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def vmcore() -> Path:
    """/proc/vmcore of a crash of this host's kernel."""
    return raw_vmcore(newest())


def makedumpfile(*words: str | Path, stdin: Path = Path("/dev/null")) -> None:
    with stdin.open("rb") as file:
        done = subprocess.run(
            ["makedumpfile", *words], stdin=file, capture_output=True, timeout=50, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr


def test_level_by_level(tmp_path: Path, vmcore: Path) -> None:
    direct = convert(vmcore, tmp_path / "direct", "--dump-level", "31")
    at_1 = convert(vmcore, tmp_path / "1", "--dump-level", "1")
    assert convert(at_1, tmp_path / "31").read_bytes() == direct.read_bytes()
    for kind in ("elf", "flat"):
        other = convert(at_1, tmp_path / kind, "--dump-format", kind, "--dump-level", "1")
        assert convert(other, tmp_path / f"{kind}-31").read_bytes() == direct.read_bytes()
    makedumpfile("-R", tmp_path / "rebuilt", stdin=tmp_path / "flat")
    assert (tmp_path / "rebuilt").read_bytes() == at_1.read_bytes()


@pytest.mark.parametrize("flags", ["-l -d 1", "-c -d 1", "-E -d 0", "-l -d 1 -F"])
def test_makedumpfile_s_dumps(
    tmp_path: Path, vmcore: Path, flags: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    theirs = tmp_path / "theirs"
    if "-F" in flags:
        with theirs.open("wb") as out:
            words: list[str | Path] = ["makedumpfile", *flags.split(), vmcore]
            subprocess.run(words, stdout=out, stderr=subprocess.DEVNULL, timeout=50, check=True)
    else:
        makedumpfile(*flags.split(), vmcore, theirs)
    ours = convert(theirs, tmp_path / "ours", "--dump-level", "31", "--verify", "full")
    direct = convert(vmcore, tmp_path / "direct")
    assert ours.read_bytes() == direct.read_bytes()
    makedumpfile("--dump-dmesg", ours, tmp_path / "log")
    capfdbinary.readouterr()
    assert main(["--dmesg", str(theirs)]) == 0
    assert capfdbinary.readouterr().out == (tmp_path / "log").read_bytes()


def test_elf_has_proc_vmcore_s_addresses(tmp_path: Path, vmcore: Path) -> None:
    dump = convert(vmcore, tmp_path / "dump", "--dump-level", "1")
    elf = convert(dump, tmp_path / "elf", "--dump-format", "elf", "--dump-level", "1")
    makedumpfile("--dump-dmesg", elf, tmp_path / "log")
    makedumpfile("--dump-dmesg", vmcore, tmp_path / "wanted")
    assert (tmp_path / "log").read_bytes() == (tmp_path / "wanted").read_bytes()
    makedumpfile("-l", "-d", "31", elf, tmp_path / "theirs")
    original, copy = drgn.Program(), drgn.Program()
    original.set_core_dump(str(vmcore))
    copy.set_core_dump(str(elf))
    assert original["VMCOREINFO"].string_() == copy["VMCOREINFO"].string_()
    crash = Crash(open_dump(str(vmcore)))
    info = crash.info
    for name in ("init_uts_ns", "init_top_pgt", "mem_section", "prb", "_stext"):
        address = info.need("symbol", name)
        assert copy.read(address, 64) == original.read(address, 64)
    # The first bytes of each range of memory, by their place in the direct map.
    space = of_elf(crash.memory.abi.machine).space(crash.memory, crash.info)
    place = info.need("symbol", "mem_section")
    offset = place - space.locate(place)[0]
    ours = open_dump(str(elf))
    for pfn, _ in crash.source().runs():
        at = pfn * PAGE
        assert ours.read_virtual(offset + at, PAGE) == crash.memory.read_physical(at, PAGE)
