# SPDX-License-Identifier: GPL-2.0-or-later
"""Independent readers of a dump, and the proof that it is of the crash that was caused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import drgn
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms

from kdump_initrd.core.run import run

from . import rivals

#: Where x86-64 maps the kernel's image; arch/x86/include/asm/page_64_types.h.
_START_KERNEL_MAP = 0xFFFFFFFF80000000
_BANNER = b"Linux version "
#: Who reads by address.
DRGN = f"drgn {drgn.__version__}"


class NotThisCrash(Exception):
    """A dump can be read but is not of the crash in question, or contradicts itself."""


@dataclass(frozen=True)
class DrgnFacts:
    """What drgn reads without debug information: no type is known, only symbols and notes."""

    release: str
    banner: str
    command_line: str
    panic_cpu: int
    kernel_offset: int
    crash_time: int
    symbols: int


def _vmcoreinfo(program: drgn.Program) -> dict[str, str]:
    text = program["VMCOREINFO"].string_().decode()
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def read_with_drgn(dump: Path) -> DrgnFacts:
    """Open a dump and read memory by symbol, virtual and physical addresses.

    Raises NotThisCrash when drgn cannot, or when two readings of the same bytes differ.
    """
    try:
        return _read(dump)
    except (drgn.FaultError, LookupError, OSError, ValueError) as error:
        raise NotThisCrash(f"{dump}: drgn cannot read it: {error}") from error


def _read(dump: Path) -> DrgnFacts:
    program = drgn.Program()
    program.set_core_dump(dump)
    info = _vmcoreinfo(program)
    index = load_vmlinux_kallsyms(program)
    program.register_symbol_finder("kallsyms", index, enable_index=0)
    address = program.symbol("linux_banner").address
    banner = program.read(address, 256)
    physical = address - _START_KERNEL_MAP + int(info["NUMBER(phys_base)"])
    if program.read(physical, 256, physical=True) != banner or not banner.startswith(_BANNER):
        raise NotThisCrash(f"{dump}: linux_banner is not the same by its physical address")
    pointer = program.read_u64(program.symbol("saved_command_line").address)
    return DrgnFacts(
        release=info["OSRELEASE"],
        banner=banner.partition(b"\0")[0].decode().strip(),
        command_line=program.read_c_string(pointer).decode(),
        panic_cpu=program.read_u32(program.symbol("panic_cpu").address),
        kernel_offset=int(info["KERNELOFFSET"], 16),
        crash_time=int(info["CRASHTIME"]),
        symbols=len(program.symbols()),
    )


@dataclass(frozen=True)
class Found:
    """What lies at the addresses that VMCOREINFO tells: two words of uname, and the log's text."""

    release: str
    machine: str
    log: bytes


def read_by_address(dump: Path) -> Found:
    """Read with drgn what needs neither symbols nor types, on any architecture.

    Raises NotThisCrash when drgn cannot.
    """
    try:
        program = drgn.Program()
        program.set_core_dump(dump)
        info = _vmcoreinfo(program)
        names = int(info["SYMBOL(init_uts_ns)"], 16) + int(info["OFFSET(uts_namespace.name)"])
        # include/uapi/linux/utsname.h: six texts of 65 bytes.
        uts = [program.read(names + 65 * n, 65).partition(b"\0")[0].decode() for n in range(6)]
        log = _log_text(program, info)
    except (drgn.FaultError, LookupError, OSError, ValueError) as error:
        raise NotThisCrash(f"{dump}: drgn cannot read it: {error}") from error
    return Found(uts[2], uts[4], log)


def _log_text(program: drgn.Program, info: dict[str, str]) -> bytes:
    # The ring of texts of kernel/printk/printk_ringbuffer.h, as it lies.
    prb = program.read_word(int(info["SYMBOL(prb)"], 16))
    ring = prb + int(info["OFFSET(printk_ringbuffer.text_data_ring)"])
    bits = program.read_u32(ring + int(info["OFFSET(prb_data_ring.size_bits)"]))
    data = program.read_word(ring + int(info["OFFSET(prb_data_ring.data)"]))
    return bytes(program.read(data, 1 << bits))


def read_log(dump: Path, makedumpfile: Sequence[str | Path] = ("makedumpfile",)) -> str:
    """Return the kernel log as a makedumpfile finds it in the dump."""
    target = dump.with_name(dump.name + ".log")
    target.unlink(missing_ok=True)
    run([*makedumpfile, "--dump-dmesg", dump, target], timeout=120)
    return target.read_text(errors="replace")


def panic_lines(log: str) -> list[str]:
    """Return the lines of a kernel log that tell of the panic: reason, CPU and task."""
    wanted = re.compile(
        r"Kernel panic - not syncing|sysrq: Trigger a crash|CPU: \d+ (UID: \d+ )?PID: "
    )
    return [line for line in log.splitlines() if wanted.search(line)]


def seconds_up(log: str) -> float:
    """Return the uptime at the panic in seconds, by the kernel log's own clock."""
    found = re.search(r"^\[ *(\d+\.\d+)\].*Kernel panic", log, re.MULTILINE)
    if found is None:
        raise NotThisCrash("the kernel log tells of no panic")
    return float(found[1])


def prove(*, dump: Path, dmesg: Path, token: str, release: str) -> DrgnFacts:
    """Check that ``dump`` and ``dmesg`` are of the run with ``token``; return drgn's facts.

    The token is looked for in the saved kernel log, in the log that makedumpfile finds in the
    dump, and, with drgn, in the command line in memory. Raises NotThisCrash.
    """
    if f"{token} loaded" not in dmesg.read_text(errors="replace"):
        raise NotThisCrash(f"{dmesg}: the saved kernel log lacks this run's token {token}")
    if f"{token} loaded" not in read_log(dump):
        raise NotThisCrash(f"{dump}: the log in the dump lacks this run's token {token}")
    facts = read_with_drgn(dump)
    if f"kdump_token={token}" not in facts.command_line.split():
        raise NotThisCrash(f"{dump}: the command line is {facts.command_line!r}, without {token}")
    if facts.release != release or f" {release} " not in facts.banner:
        raise NotThisCrash(f"{dump}: the release is {facts.release!r}, not {release!r}")
    return facts


def prove_by_address(dump: Path, *, token: str, release: str, machine: str) -> str:
    """Check with drgn that a dump is of the run with ``token``, on any architecture.

    The token is looked for in the log in memory. Returns who has read the dump. Raises
    NotThisCrash.
    """
    found = read_by_address(dump)
    if f"{token} loaded".encode() not in found.log:
        raise NotThisCrash(f"{dump}: the log in the dump lacks this run's token {token}")
    if (found.release, found.machine) != (release, machine):
        raise NotThisCrash(f"{dump}: it is of {found.release} on {found.machine}, not of {release}")
    return DRGN


def prove_by_makedumpfile(dump: Path, makedumpfile: Sequence[str | Path], *, token: str) -> str:
    """Check likewise with a makedumpfile; ``makedumpfile`` are the words that start it."""
    if f"{token} loaded" not in read_log(dump, makedumpfile):
        raise NotThisCrash(f"{dump}: the log in the dump lacks this run's token {token}")
    return rivals.version(makedumpfile)
