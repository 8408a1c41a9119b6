# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw vmcores of real crashes, made once: what the capture kernel's /proc/vmcore held."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from elftools.elf.elffile import ELFFile

from kdump_initrd.core.run import run

from . import disks, fillmemory, floor
from .archive import Archive
from .cached import cache, making
from .kernels import Kernel
from .phases import Phase
from .scenario import Outcome, Scenario, crash, folder_of
from .tools import tool

#: Beside what is reserved for the capture kernel; and all of it.
_MEMORY_MIB, _FILLED_MIB = 384, 1024
#: More than the 128 KiB that Debian's kernels keep of their log (CONFIG_LOG_BUF_SHIFT=17).
_FILL_LOG = "i=0; while [ $i -lt 4000 ]; do say filler $i; i=$((i + 1)); done"
_GUEST = Path(__file__).parent / "guest"
_FILL_LITTLE = (_GUEST / "fill-little").read_text()
#: Debian's Python, as the guest has it.
_PYTHON = Path("/usr/bin/python3")
_APPLETS = ("chmod", "insmod", "mkswap", "swapon")
_KMODS = ("virtio_pci", "virtio_blk", "ext4", "zram", "virtio_balloon")
#: The least that the crashed kernel must tell of itself: /proc/meminfo in KiB, and counts.
_LEAST = {
    "MemFree": 100 << 10,
    "AnonPages": 128 << 10,
    "AnonHugePages": 48 << 10,
    "Mlocked": 8 << 10,
    "SwapCached": 8 << 10,
    "Shmem": 72 << 10,
    "ShmemHugePages": 16 << 10,
    "Cached": 150 << 10,
    "Buffers": 16 << 10,
    "Dirty": 4 << 10,
    "Slab": 24 << 10,
    "SReclaimable": 4 << 10,
    "HugePages_Total": 40,
    "HugePages_Free": 24,
    "HardwareCorrupted": 4 * fillmemory.KINDS["poisoned"].pages,
    "ksm": 500,
    "nr_zspages": 32,
    "balloon_inflate": 4096,
}


class MissingMemory(Exception):
    """The crashed kernel did not hold what a filter is to be tested with; the text says what."""


def raw_vmcore(kernel: Kernel, *, wrapped_log: bool = False) -> Path:
    """Return the ELF core of a small machine's crash; ``wrapped_log`` overruns its log.

    It is copied by cp, so that nothing of ours has touched it.
    """
    suffix = "-wrapped-log" if wrapped_log else ""
    target = cache() / f"vmcore-{kernel.release}{suffix}"
    with making(target) as missing:
        if missing:
            scenario = _scenario(kernel, f"vmcore-{kernel.release}{suffix}")
            _make(target, replace(scenario, extra=_FILL_LOG if wrapped_log else ""))
    return target


def port_vmcore(kernel: Kernel) -> Path:
    """Return the same of a kernel for any machine, with a little memory of each kind."""
    name = "-".join(filter(None, (f"vmcore-{kernel.release}", kernel.architecture.variant, "port")))
    target = cache() / name
    with making(target) as missing:
        if missing:
            _make(target, replace(_scenario(kernel, name), extra=_FILL_LITTLE))
    return target


def filled_vmcore(kernel: Kernel) -> Path:
    """Return the ELF core of a crash of ``kernel``, of 1 GiB with all kinds of memory.

    What there is at least, and how its pages are known, is in fillmemory.KINDS. Raises
    MissingMemory if /proc/meminfo told otherwise before the crash.
    """
    target = cache() / f"vmcore-{kernel.release}-filled"
    with making(target) as missing:
        if missing:
            _make_filled(target, kernel)
    return target


def _make_filled(target: Path, kernel: Kernel) -> None:
    scenario = _scenario(kernel, f"vmcore-{kernel.release}-filled")
    folder = folder_of(scenario.name)
    beside = folder / "beside.cpio"
    _beside(beside, kernel)
    bare = disks.sparse(folder / "bare.raw", 32 << 20)
    further = (disks.make(folder / "files.raw", size_mib=256).path, bare)
    with closing(_Balloon(folder / "monitor", _FILLED_MIB - 16)) as balloon:
        scenario = replace(
            scenario,
            memory_mib=_FILLED_MIB,
            disks=(*scenario.disks, *further),
            extra=". /fill/fill-memory",
            beside=beside,
            devices=balloon.devices,
            deadlines={Phase.LOADED: 400, Phase.SAVED: 600},
        )
        _make(target, scenario, on_line=balloon.on_line)
    for path in (*further, beside):
        path.unlink()


def kinds_of(vmcore: Path) -> Mapping[int, str]:
    """Return the kind of each page frame that has one of fillmemory.KINDS by its contents."""
    found = {}
    page = fillmemory.PAGE
    with vmcore.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as memory:
        for segment in ELFFile(file).iter_segments("PT_LOAD"):
            start, at, size = (segment[name] for name in ("p_paddr", "p_offset", "p_filesz"))
            for offset in range(-start % page, size, page):
                kind = fillmemory.kind_of(memory[at + offset : at + offset + 32])
                if kind is not None:
                    found[(start + offset) // page] = kind
    return found


def memory_of(console: str) -> Mapping[str, int]:
    """Return what guest/fill-memory said before the crash: names of /proc/meminfo and counts."""
    found = re.findall(r" memory (\S+) (\d+)$", console, re.MULTILINE)
    return {name: int(count) for name, count in found}


def _scenario(kernel: Kernel, name: str) -> Scenario:
    folder = folder_of(name)
    return Scenario(
        name=name,
        kernel=kernel,
        image=floor.build(folder / "floor.img", kernel, collect="cp").path,
        command_line=floor.COMMAND_LINE,
        disks=(disks.make(folder / "disk.raw").path,),
        speaker=floor.SPEAKER,
        memory_mib=_MEMORY_MIB + kernel.architecture.reservation_mib,
        crashkernel_mib=kernel.architecture.reservation_mib,
    )


class _Balloon:
    """Takes memory from the guest when it says that it is filled: it becomes offline pages."""

    def __init__(self, path: Path, left_mib: int) -> None:
        self._path = path
        self._left = left_mib
        self._socket = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)

    @property
    def devices(self) -> tuple[str, ...]:
        """QEMU's words for the balloon, and for a monitor of its own."""
        monitor = f"socket,id=balloon,path={self._path},server=on,wait=off"
        words = ("-device", "virtio-balloon-pci", "-chardev", monitor)
        return (*words, "-mon", "balloon,mode=readline")

    def on_line(self, line: str) -> None:
        """Look for the guest's word."""
        if line.endswith(" memory is filled"):
            self._socket.connect(str(self._path))
            self._socket.sendall(f"balloon {self._left}\n".encode())

    def close(self) -> None:
        """Close the connection to the monitor."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


def _make(target: Path, scenario: Scenario, on_line: Callable[[str], None] | None = None) -> None:
    outcome = crash(scenario, on_line=on_line)
    if scenario.beside is not None:
        _check(outcome)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}.new")
    disk = scenario.disks[0]
    disks.Disk(disk).copy_out(floor.DUMP, new)
    new.replace(target)
    disk.unlink()


def _check(outcome: Outcome) -> None:
    memory = memory_of(outcome.run.console)
    missing = [
        f"{name} is {memory.get(name)}, not {least}"
        for name, least in _LEAST.items()
        if memory.get(name, 0) < least
    ]
    if missing:
        raise MissingMemory(f"{outcome.run.log}: {', '.join(missing)}")


def _beside(target: Path, kernel: Kernel) -> None:
    # What the first kernel's root needs to fill the memory.
    archive = Archive()
    archive.busybox(tool("busybox"), _APPLETS)
    archive.program(str(_PYTHON), _PYTHON)
    for path in _python_files():
        add = archive.program if path.suffix == ".so" else archive.file
        add(str(path), path)
    archive.file("/fill/fillmemory.py", _GUEST.parent / "fillmemory.py")
    archive.file("/fill/fill-memory", _GUEST / "fill-memory")
    for number, (name, data) in enumerate(kernel.load_order(*_KMODS).items()):
        archive.content(f"/fill/kmods/{number:02}-{name}", data)
    archive.write(target)


def _python_files() -> list[Path]:
    # The interpreter names what it reads for fillmemory.
    program = (
        "import sys; sys.path.append(sys.argv[1]); import fillmemory; del sys.modules['fillmemory']"
        "\nfor each in list(sys.modules.values()): print(getattr(each, '__file__', ''))"
    )
    done = run([_PYTHON, "-ISB", "-c", program, _GUEST.parent], timeout=30)
    return [Path(line) for line in done.stdout.decode().splitlines() if line]
