# SPDX-License-Identifier: GPL-2.0-or-later
"""Finished dumps of both formats, read by three readers: the mini reader, our own, and drgn."""

from __future__ import annotations

import struct
from pathlib import Path

import drgn
import pytest

from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.low.failure import SaverError

from .minireader import MiniReader
from .running import save
from .samples import FLAGS, sample
from .vmcore import (
    ARM,
    CRASH_TIME,
    I386,
    PAGE,
    PPC64,
    S390X,
    TEXT,
    X86_64,
    Core,
    noise,
    text,
    zero,
)

LIBRARIES = {"lzo": "liblzo2", "snappy": "libsnappy", "zstd": "libzstd", "zlib": "libdeflate"}
MACHINES = {"x86_64": X86_64, "i686": I386, "armv7l": ARM, "ppc64": PPC64, "s390x": S390X}


@pytest.mark.parametrize("name", list(MACHINES))
@pytest.mark.parametrize("codec", list(FLAGS))
@pytest.mark.parametrize("level", [0, 1])
def test_kdump_format(tmp_path: Path, name: str, codec: str, level: int) -> None:
    machine = MACHINES[name]
    core, pages = sample(machine)
    done = save(tmp_path, core, dump_compress=codec, dump_level=level)
    assert done.status == 0
    dump = MiniReader(done.dump, machine)
    assert (dump.version, dump.status, dump.block, dump.cpus) == (6, FLAGS[codec], PAGE, 2)
    assert dump.uts == ["Linux", "(none)", "6.1.0-test", "(none)", name, "(none)"]
    assert dump.time == (CRASH_TIME, 0)
    assert (dump.max_mapnr, dump.frames, dump.level) == (0x200A, (0, 0, 0x200A), level)
    assert (dump.phys_base, dump.erase, dump.unused) == (0, b"", [0, 0, 0, 0])
    assert dump.notes == core.notes() and dump.notes_at == PAGE + dump.sub_size
    assert dump.vmcoreinfo.startswith(b"OSRELEASE=6.1.0-test\n")
    assert dump.first == dump.second == sorted(pages)
    assert {pfn: dump.page(pfn) for pfn in dump.second} == pages
    shared = dump.table + 24 * len(pages)
    for pfn, data in pages.items():
        desc = dump.pages[pfn]
        if not any(data) and level:
            assert (desc.offset, desc.size, desc.flags) == (shared, PAGE, 0)
        elif desc.flags == 0:
            assert desc.size == PAGE and (codec == "none" or len(set(data)) == 256)
        else:
            assert desc.size < PAGE and desc.flags == FLAGS[codec]
    dump_facts = done.report["dump"]
    assert (dump_facts["codec"], dump_facts["library"]) == (codec, LIBRARIES.get(codec, ""))
    zeros = 310 if level else 0
    raw = len(pages) - zeros if codec == "none" else 11
    assert (dump_facts["pages"], dump_facts["zero_pages"], dump_facts["raw_pages"]) == (
        len(pages),
        zeros,
        raw,
    )
    assert dump_facts["bytes"] == done.dump.stat().st_size == len(dump.raw)
    own = open_dump(str(done.dump))
    assert all(own.read_physical(pfn * PAGE, PAGE) == data for pfn, data in pages.items())


@pytest.mark.parametrize("name", list(MACHINES))
@pytest.mark.parametrize("level", [0, 1])
def test_elf_format(tmp_path: Path, name: str, level: int) -> None:
    core, pages = sample(MACHINES[name])
    done = save(tmp_path, core, dump_format="elf", dump_level=level)
    assert done.status == 0
    own = open_dump(str(done.dump))
    assert all(own.read_physical(pfn * PAGE, PAGE) == data for pfn, data in pages.items())
    text_at = TEXT & (1 << 8 * core.machine.word) - 1
    assert own.read_virtual(text_at, 6 * PAGE) == b"".join(pages[0x104 + n] for n in range(6))
    assert b"".join(own.notes.chunks()) == core.notes()
    # Kernel text once, zero pages not at all.
    size = done.dump.stat().st_size
    assert size <= (len(pages) + 4) * PAGE
    blocks = done.dump.stat().st_blocks * 512
    assert blocks < (60 if level else 400) * PAGE
    assert done.report["dump"]["codec"] == "none"


@pytest.mark.parametrize(
    "options",
    [
        {"dump_format": "elf"},
        {"dump_compress": "lzo"},
        {"dump_compress": "snappy"},
        {"dump_compress": "zstd"},
        {"dump_compress": "zlib"},
        {"dump_compress": "none"},
    ],
)
def test_drgn_reads_the_same_bytes(tmp_path: Path, options: dict[str, object]) -> None:
    core, pages = sample()
    done = save(tmp_path, core, **options)
    program = drgn.Program()
    program.set_core_dump(str(done.dump))
    for pfn, data in pages.items():
        assert program.read(pfn * PAGE, PAGE, physical=True) == data
    assert program["VMCOREINFO"].string_().startswith(b"OSRELEASE=6.1.0-test\n")
    with pytest.raises(drgn.FaultError):
        program.read(0x1000000, 8, physical=True)


def test_many_program_headers(tmp_path: Path) -> None:
    core = Core()
    for number in range(3000):
        core.load(0x100000 + number * 2 * PAGE, b"%d" % number + bytes(PAGE - 10))
    for options in ({"dump_format": "elf"}, {}):
        done = save(tmp_path, core, directory=f"d{len(options)}", **options)
        own = open_dump(str(done.dump))
        for number in (0, 1234, 2999):
            data = own.read_physical(0x100000 + number * 2 * PAGE, 4)
            assert data == (b"%d" % number).ljust(4, b"\0")


def test_more_headers_than_16_bits_count(tmp_path: Path) -> None:
    # PN_XNUM: 70000 ranges that all show the same page of the file.
    core = Core()
    core.load(0x100000, text())
    raw = bytearray(core.build())
    count = 70000
    entry = struct.unpack_from("<IIQQQQQQ", raw, 64 + 56)
    at = len(raw)
    struct.pack_into("<QQ", raw, 32, at, at + count * 56)  # e_phoff, e_shoff
    struct.pack_into("<HHH", raw, 56, 0xFFFF, 64, 1)
    for number in range(count):
        raw += struct.pack("<IIQQQQQQ", *entry[:4], 0x100000 + number * PAGE, *entry[5:])
    raw += bytes(44) + struct.pack("<I", count) + bytes(16)
    path = tmp_path / "vmcore.in"
    path.write_bytes(raw)
    done = save(tmp_path, path, dump_format="elf")
    assert done.status == 0
    own = open_dump(str(done.dump))
    assert own.read_physical(0x100000 + 69999 * PAGE, PAGE) == text()
    done = save(tmp_path, path, directory="kdump")
    assert len(MiniReader(done.dump, X86_64).second) == count


def test_pages_of_other_sizes(tmp_path: Path) -> None:
    core = Core(PPC64).load(0x100000, noise(16) + text(16) + zero(32) + noise(8))
    assert core.info is not None
    core.info = [x if "PAGESIZE" not in x else "PAGESIZE=65536" for x in core.info]
    done = save(tmp_path, core)
    dump = MiniReader(done.dump, PPC64)
    assert (dump.block, dump.second) == (65536, [16, 17, 18, 19, 20])
    assert dump.page(16) == noise(16)
    assert dump.page(17) == text(16)
    assert dump.page(18) == dump.page(19) == zero(16)
    assert dump.page(20) == noise(8) + zero(8)
    assert dump.pages[16].flags == 0 and dump.pages[17].flags == 2


def test_readers_of_damaged_dumps_say_what_is_wrong(tmp_path: Path) -> None:
    core, _ = sample()
    done = save(tmp_path, core)
    raw = done.dump.read_bytes()
    path = tmp_path / "damaged"

    def failure(data: bytes, address: int = 0x100000) -> str:
        path.write_bytes(data)
        with pytest.raises(SaverError) as caught:
            open_dump(str(path)).read_physical(address, 8)
        return str(caught.value)

    table = MiniReader(done.dump, X86_64).table
    assert "neither an ELF core nor" in failure(b"something else")
    assert failure(raw[:8]) == "the dump's header is damaged"
    assert "sub header is not complete" in failure(raw[: PAGE + 50])
    assert failure(raw[:8] + b"\5" + raw[9:]) == "header version 5 is older than 6"
    assert "bitmaps are not complete" in failure(raw[: 3 * PAGE])
    assert "page descriptors are not complete" in failure(raw[: table + 10])
    assert "beyond the end of the dump" in failure(raw[: table + 24 * 400])
    assert failure(raw[:table] + bytes(24) + raw[table + 24 :]) == (
        "page at 0x100000 was lost when the dump was written"
    )
    wild = struct.pack("<QIIQ", 10, 1 << 30, 2, 0)
    assert "damaged descriptor (1073741824 bytes at 10)" in failure(
        raw[:table] + wild + raw[table + 24 :]
    )
    wild = struct.pack("<QIIQ", 10, 100, 2, 0)
    assert "liblzo2.so.2: damaged data" in failure(raw[:table] + wild + raw[table + 24 :])
    assert failure(raw, 0x1000000) == "physical address 0x1000000 is not in the dump"
    assert failure(raw, 1 << 50) == "physical address 0x4000000000000 is not in the dump"
