# SPDX-License-Identifier: GPL-2.0-or-later
"""A real vmcore: makedumpfile and drgn must see in our dumps what is in it."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import drgn
import pytest

from kdump_initrd.saver.__main__ import main
from tests.vm.kernels import newest
from tests.vm.vmcores import raw_vmcore

from .minireader import MiniReader
from .running import save
from .vmcore import PAGE, X86_64

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def vmcore() -> Path:
    """/proc/vmcore of a crash of this host's kernel."""
    return raw_vmcore(newest())


@pytest.fixture(scope="module")
def wrapped() -> Path:
    """The same after more log than the kernel's buffer holds."""
    return raw_vmcore(newest(), wrapped_log=True)


def makedumpfile(*words: str | Path) -> None:
    done = subprocess.run(
        ["makedumpfile", *map(str, words)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("which", ["vmcore", "wrapped"])
@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_log_is_makedumpfile_s(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    which: str,
    kind: str,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    done = save(tmp_path, request.getfixturevalue(which), dump_format=kind, dmesg_name="dmesg")
    assert done.status == 0
    makedumpfile("--dump-dmesg", done.dump, tmp_path / "log")
    log = (tmp_path / "log").read_bytes()
    assert log.count(b"\n") > 100
    assert (done.folder / "dmesg").read_bytes() == log
    capfdbinary.readouterr()
    assert main(["--dmesg", str(done.dump)]) == 0
    assert capfdbinary.readouterr().out == log


def test_dump_is_makedumpfile_s(tmp_path: Path, vmcore: Path) -> None:
    done = save(tmp_path, vmcore, dump_level=1)
    makedumpfile("-l", "-d", "1", vmcore, tmp_path / "rival")
    ours, rival = MiniReader(done.dump, X86_64), MiniReader(tmp_path / "rival", X86_64)
    assert ours.table == rival.table
    # Headers, notes and bitmaps byte for byte.
    assert ours.raw[: ours.table] == rival.raw[: rival.table]
    for pfn in random.Random(2).sample(ours.second, 3000):
        assert ours.page(pfn) == rival.page(pfn)


@pytest.mark.parametrize("codec", ["lzo", "snappy", "zstd", "zlib"])
def test_makedumpfile_reads_the_codecs_that_it_knows(
    tmp_path: Path, vmcore: Path, codec: str
) -> None:
    words = ["makedumpfile", "--help"]
    known = subprocess.run(words, capture_output=True, text=True, timeout=50, check=True).stdout
    if codec != "zlib" and not re.search(rf"{codec} support:\s+enabled", known, re.IGNORECASE):
        pytest.skip(f"this makedumpfile is built without {codec}")
    done = save(tmp_path, vmcore, dump_compress=codec, dmesg_name="dmesg")
    assert done.status == 0
    makedumpfile("--dump-dmesg", done.dump, tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == (done.folder / "dmesg").read_bytes()


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_drgn_reads_the_vmcore_s_bytes(tmp_path: Path, vmcore: Path, kind: str) -> None:
    done = save(tmp_path, vmcore, dump_format=kind, dump_level=1)
    original, copy = drgn.Program(), drgn.Program()
    original.set_core_dump(str(vmcore))
    copy.set_core_dump(str(done.dump))
    assert original["VMCOREINFO"].string_() == copy["VMCOREINFO"].string_()
    rng = random.Random(3)
    same = 0
    for _ in range(3000):
        address = rng.randrange(0x100000 // PAGE, vmcore.stat().st_size // PAGE) * PAGE
        try:
            wanted = original.read(address, PAGE, physical=True)
        except drgn.FaultError:
            with pytest.raises(drgn.FaultError):
                copy.read(address, PAGE, physical=True)
            continue
        assert copy.read(address, PAGE, physical=True) == wanted
        same += 1
    assert same > 2000
