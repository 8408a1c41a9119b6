# SPDX-License-Identifier: GPL-2.0-or-later
"""Is this machine ready to save a crash? What is missing, and the command that helps.

--refresh ends with this, and so do the installation of a package and the service at boot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...bootloaders import crashwords
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...image import reservation
from ...probe.distro.profiles import Distro
from ...probe.kernel.releases import KernelRelease
from ...recipes.firstkernel import objections
from ...recipes.parts.kernelterms import terms_of
from ..reserving import bootloader

#: The units of the other tools that load a capture kernel.
OTHERS = ("kdump-tools.service", "kdump.service", "kdump-early.service")
_ENABLED = "etc/systemd/system"
#: A part of file names, as a kernel's release is one (65 bytes: include/linux/utsname.h).
_RELEASE = re.compile(r"[^\s/\x00-\x1f]{1,65}", re.ASCII)
_REFUSAL = re.compile(r";kdump-initrd: not armed: (.*)")
_SET = "kdump-initrd reserve --set"
_CRASH = "echo c >/proc/sysrq-trigger"
_KERNEL = "sys/kernel"
#: What the kernel says of itself is short, in bytes; it refuses to be asked for much more.
_SHORT = 1 << 16
_MIB = 1 << 20


@dataclass(frozen=True)
class Running:
    """The running kernel: its command line, the MiB that it has reserved, what is loaded there.

    ``cma`` are the MiB beside it that the capture kernel gets of crashkernel=SIZE,cma; ``able`` is
    whether the kernel was built to load one.
    """

    cmdline: bytes
    reserved: int
    loaded: bool
    cma: int = 0
    able: bool = True

    @property
    def parts(self) -> str:
        """What is reserved in MiB, for people: what is loaded has to fit into the first part."""
        return f"{self.reserved} and, for CMA, {self.cma}" if self.cma else f"{self.reserved}"


@dataclass(frozen=True)
class Lack:
    """What a machine lacks, and how to mend it; ``restarts``: a restart has to follow."""

    what: str
    how: str
    restarts: bool = False


#: Of a kernel that was built without any of it.
UNABLE = Lack(
    objections.UNABLE, "boot a kernel with CONFIG_KEXEC and CONFIG_CRASH_DUMP", restarts=True
)


def say(root: Root, profile: Distro, *, dumps: str) -> Iterator[str]:
    """Yield warnings, each of several lines: what is missing, and how to fix it.

    ``dumps`` is the folder for dumps. If the root is not this machine's own, nothing can be told.
    """
    if not root.is_host:
        return
    for unit in others(root):
        yield (
            f"{unit} also loads a capture kernel, and the one that is loaded last counts\n"
            f"  keep one: systemctl disable --now {unit}"
        )
    yield from lacking(running(root), root, profile, dumps=dumps)


def lacking(machine: Running | None, root: Root, profile: Distro, *, dumps: str) -> Iterator[str]:
    """Yield what a machine lacks; it is None if the system does not run, as in a chroot."""
    if machine is not None and machine.loaded:
        return
    found = lack(machine, root, profile)
    then = "then restart, and " if found.restarts else ""
    yield (
        f"not armed: {found.what}\n  {found.how}\n"
        f"  {then}test it, which crashes this machine immediately: {_CRASH}; "
        f"the dump will be in {dumps}"
    )


def lack(machine: Running | None, root: Root, profile: Distro) -> Lack:
    """Return what a machine lacks that has no capture kernel loaded; see lacking()."""
    if machine is not None and not machine.able:
        return UNABLE
    if machine is not None and machine.reserved:
        why = (
            in_log(_REFUSAL, root) or "no capture kernel has been loaded since the machine started"
        )
        return Lack(why, "kdump-initrd load")
    if machine is not None and words(machine):
        return Lack(
            "the kernel could not reserve what crashkernel= on its command line asks for",
            "dmesg | grep -i crashkernel tells why; kdump-initrd reserve says what is enough",
        )
    return _unset(root, profile)


def _unset(root: Root, profile: Distro) -> Lack:
    """Return what is lacking where the running kernel was given no crashkernel= word."""
    loader = bootloader.of(root, profile)
    with suppress(OSError, KdumpInitrdError):
        if loader and any(crashwords.words_of(boot.cmdline) for boot in loader.boots()):
            return Lack("crashkernel= is configured, but not in effect yet", "restart")
        for place in bootloader.places(loader) if loader else ():
            what = f"crashkernel= is in {place}, but not in what the boot loader reads"
            return Lack(what, _SET, restarts=True)
    return Lack(
        "no memory is reserved, crashkernel= is not on the kernel's command line",
        _SET,
        restarts=True,
    )


def running(root: Root) -> Running | None:
    """Return the state of the running kernel; None if ``root`` is not what runs on it.

    Without /proc and /sys nothing tells.
    """
    with suppress(OSError):
        if not os.path.samestat((root.path / "proc/1/root").stat(), root.path.stat()):
            return None
    try:
        cmdline = root.read("proc/cmdline", limit=_SHORT)
    except OSError:
        return None
    if root.folder(_KERNEL) is None:
        return None
    size, loaded = (_said(root, name) for name in ("size", "loaded"))
    able = crash_file("size", root) is not None
    return Running(cmdline, size // _MIB, bool(loaded), _cma(root) // _MIB, able)


def release(root: Root) -> str:
    """Return the release of the kernel that runs ``root``, "" where none does."""
    with suppress(OSError):
        said = root.read_text("proc/sys/kernel/osrelease", limit=_SHORT).strip()
        return said if _RELEASE.fullmatch(said) else ""
    return ""


def words(machine: Running) -> list[str]:
    """Return the crashkernel= words of a running kernel's command line."""
    return crashwords.words_of(machine.cmdline.decode(errors="replace"))


def others(root: Root) -> list[str]:
    """Return the units of other tools that are enabled in a root."""
    units = root.real_path(root.path / _ENABLED)
    wanted = root.folders(root.entries(units, "*.wants"))
    return [
        name
        for name in OTHERS
        if any(os.path.lexists(folder / name) for folder in wanted) and not is_masked(name, root)
    ]


def needed(image: Path, kernel: KernelRelease) -> tuple[int, int]:
    """Return the MiB without which an image cannot work, and those to reserve for it.

    Raises KdumpInitrdError if one of the files cannot be read.
    """
    machine = kernel.header.machine if kernel.header else ""
    weight, terms = reservation.weigh(image), terms_of(machine, kernel.header, kernel.config)
    return reservation.least(weight, terms), reservation.crashkernel(weight, terms)


def in_log(pattern: re.Pattern[str], root: Root) -> str:
    """Return the first group of the last match in the kernel log of this boot, "" for none."""
    found = ""
    with suppress(OSError):
        log = root.resolve("dev/kmsg") or root.path
        descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # Each read gives one record (Documentation/ABI/testing/dev-kmsg), EAGAIN marks the end.
            while text := os.read(descriptor, 1 << 13).decode(errors="replace"):
                match = pattern.search(text)
                found = match[1].strip() if match else found
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
    return found


def is_masked(name: str, root: Root) -> bool:
    """Tell whether a root's administrator has forbidden to start a unit (systemctl mask)."""
    unit = root.real_path(root.path / _ENABLED) / name
    return unit.is_symlink() and str(unit.readlink()) == os.devnull


def crash_file(name: str, root: Root) -> Path | None:
    """Return the kernel's file about its capture kernel: "size" or "loaded"; None without one.

    Since Linux 6.19 it is in a folder, and its old name is a link.
    """
    return root.first_file(f"{_KERNEL}/{each}_{name}" for each in ("kexec/crash", "kexec_crash"))


def is_loaded(root: Root) -> bool:
    """Tell whether a capture kernel is loaded."""
    return _said(root, "loaded") == 1


def _said(root: Root, name: str) -> int:
    """Return what the file of that name has, 0 where there is none or no number in it."""
    path = crash_file(name, root)
    with suppress(OSError, ValueError):
        return max(0, int(root.read_text(path, limit=_SHORT))) if path else 0
    return 0


def _cma(root: Root) -> int:
    """Return the bytes of the ranges, FIRST-LAST in hexadecimal (kernel/kexec_core.c, 6.17)."""
    with suppress(OSError, ValueError):
        lines = root.read_text(f"{_KERNEL}/kexec/crash_cma_ranges", limit=_SHORT).splitlines()
        ranges = [[int(end, 16) for end in line.split("-")] for line in lines]
        return sum(last - first + 1 for first, last in ranges)
    return 0
