# SPDX-License-Identifier: GPL-2.0-or-later
"""Is this machine ready to save a crash? What is missing, and the command that helps.

--refresh ends with this, and so do the installation of a package and the service at boot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...image import reservation
from ...probe.kernel.releases import KernelRelease
from ...recipes.parts.kernelterms import terms_of

#: The files from which a boot loader reads the kernel's command line, relative to the root, and the
#: files that those are made from.
_LOADER = (
    *("boot/grub/grub.cfg", "boot/grub2/grub.cfg", "boot/grub2/grubenv"),
    *("boot/loader/entries/*", "efi/loader/entries/*", "etc/kernel/cmdline"),
)
_SOURCES = ("etc/default/grub", "etc/default/grub.d/*.cfg")
#: What puts a word on the kernel's command line, and how: the first that is there; the last for
#: any other.
_COMMANDS = (
    (
        "update-grub",
        "echo 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {word}\"' "
        ">/etc/default/grub.d/kdump-initrd.cfg && update-grub",
    ),
    ("grubby", "grubby --update-kernel=ALL --args={word}"),
    (
        "grub2-mkconfig",
        "add {word} to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, "
        "and run grub2-mkconfig -o /boot/grub2/grub.cfg",
    ),
    (
        "grub-mkconfig",
        "add {word} to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, "
        "and run grub-mkconfig -o /boot/grub/grub.cfg",
    ),
    (
        "",
        "add {word} to the kernel's command line in the boot loader's configuration "
        "(GRUB: GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, and run update-grub)",
    ),
)
_PROGRAMS = ("usr/sbin", "usr/bin", "sbin", "bin")
#: The units of the other tools that load a capture kernel.
OTHERS = ("kdump-tools.service", "kdump.service", "kdump-early.service")
_ENABLED = "etc/systemd/system"
_WORD = re.compile(rb"(?<![\w.])crashkernel=")
_REFUSAL = re.compile(r";kdump-initrd: not armed: (.*)")
_CRASH = "echo c >/proc/sysrq-trigger"
_KERNEL = "sys/kernel"
#: What the kernel says of itself is short, in bytes; it refuses to be asked for much more.
_SHORT = 1 << 16
_MIB = 1 << 20


@dataclass(frozen=True)
class Running:
    """The running kernel: its command line, the MiB that it has reserved, what is loaded there.

    ``cma`` are the MiB beside it that the capture kernel gets of crashkernel=SIZE,cma.
    """

    cmdline: bytes
    reserved: int
    loaded: bool
    cma: int = 0


@dataclass(frozen=True)
class Lack:
    """What a machine lacks, and how to mend it; ``restarts``: a restart has to follow."""

    what: str
    how: str
    restarts: bool = False


def say(root: Root, images: Iterable[tuple[Path, KernelRelease]], *, dumps: str) -> Iterator[str]:
    """Yield warnings, each of several lines: what is missing, and how to fix it.

    ``images`` are capture initrds with their kernels, ``dumps`` is the folder for dumps. If the
    root is not this machine's own, nothing can be told.
    """
    if not root.is_host:
        return
    for unit in others(root):
        yield (
            f"{unit} also loads a capture kernel, and the one that is loaded last counts\n"
            f"  keep one: systemctl disable --now {unit}"
        )
    yield from lacking(running(root), root, images, dumps=dumps)


def lacking(
    machine: Running | None, root: Root, images: Iterable[tuple[Path, KernelRelease]], *, dumps: str
) -> Iterator[str]:
    """Yield what a machine lacks; it is None if the system does not run, as in a chroot."""
    if machine is not None and machine.loaded:
        return
    found = lack(machine, root, images)
    then = "then restart, and " if found.restarts else ""
    yield (
        f"not armed: {found.what}\n  {found.how}\n"
        f"  {then}test it, which crashes this machine immediately: {_CRASH}; "
        f"the dump will be in {dumps}"
    )


def lack(machine: Running | None, root: Root, images: Iterable[tuple[Path, KernelRelease]]) -> Lack:
    """Return what a machine lacks that has no capture kernel loaded; see lacking()."""
    if machine is not None and machine.reserved:
        why = in_log(_REFUSAL, root) or "the machine was started before its initrd was built"
        return Lack(why, "kdump-initrd load")
    if machine is not None and _WORD.search(machine.cmdline):
        return Lack(
            "the kernel could not reserve what crashkernel= on its command line asks for",
            f"dmesg | grep -i crashkernel tells why; {_size(images)} is enough, then restart",
        )
    if is_in(_LOADER, root):
        return Lack("crashkernel= is configured, but not in effect yet", "restart")
    if is_in(_SOURCES, root):
        return Lack(
            "crashkernel= is in GRUB's defaults, but not in what GRUB reads",
            "run update-grub (or grub2-mkconfig -o /boot/grub2/grub.cfg), then restart",
        )
    return Lack(
        "no memory is reserved, crashkernel= is not on the kernel's command line",
        _command(root, _size(images)),
        restarts=True,
    )


def running(root: Root) -> Running | None:
    """Return the state of the running kernel; None if ``root`` is not what runs on it."""
    with suppress(OSError):
        if not os.path.samestat((root.path / "proc/1/root").stat(), root.path.stat()):
            return None
    try:
        cmdline = root.read("proc/cmdline", limit=_SHORT)
    except OSError:
        return None
    size, loaded = (_said(root, name) for name in ("size", "loaded"))
    return Running(cmdline, size // _MIB, bool(loaded), _cma(root) // _MIB)


def release(root: Root) -> str:
    """Return the release of the kernel that runs ``root``, "" where none does."""
    with suppress(OSError):
        return root.read_text("proc/sys/kernel/osrelease", limit=_SHORT).strip()
    return ""


def words(machine: Running) -> list[str]:
    """Return the crashkernel= words of a running kernel's command line."""
    found = machine.cmdline.decode(errors="replace").split()
    return [word for word in found if word.startswith("crashkernel=")]


def others(root: Root) -> list[str]:
    """Return the units of other tools that are enabled in a root."""
    units = root.real_path(root.path / _ENABLED)
    wanted = root.folders(root.entries(units, "*.wants"))
    return [
        name
        for name in OTHERS
        if any(os.path.lexists(folder / name) for folder in wanted) and not is_masked(name, root)
    ]


def is_in(patterns: Iterable[str], root: Root) -> bool:
    """Tell whether a line of these files, not a comment, contains crashkernel=."""
    for pattern in patterns:
        place = PurePosixPath(pattern)
        for path in root.entries(place.parent, place.name):
            with suppress(OSError):
                lines = root.read(path).splitlines()
                if any(_WORD.search(each) for each in lines if not each.lstrip().startswith(b"#")):
                    return True
    return False


def _command(root: Root, word: str) -> str:
    for program, text in _COMMANDS:
        places = (f"{folder}/{program}" for folder in _PROGRAMS)
        if not program or root.first_file(places) is not None:
            return text.format(word=word)
    raise AssertionError("the last one needs no program")


def needed(image: Path, kernel: KernelRelease) -> tuple[int, int]:
    """Return the MiB without which an image cannot work, and those to reserve for it.

    Raises KdumpInitrdError if one of the files cannot be read.
    """
    machine = kernel.header.machine if kernel.header else ""
    weight, terms = reservation.weigh(image), terms_of(machine, kernel.header, kernel.config)
    return reservation.least(weight, terms), reservation.crashkernel(weight, terms)


def _size(images: Iterable[tuple[Path, KernelRelease]]) -> str:
    """Return the word that reserves enough memory for each of the images."""
    sizes = [0]
    for image, kernel in images:
        with suppress(KdumpInitrdError):
            sizes.append(needed(image, kernel)[1])
    return f"crashkernel={max(sizes) or reservation.USUAL}M"


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


def _said(root: Root, name: str) -> int:
    """Return a number of the crash kernel's, 0 where neither of its files has one."""
    for path in (f"{_KERNEL}/kexec/crash_{name}", f"{_KERNEL}/kexec_crash_{name}"):
        with suppress(OSError, ValueError):
            return int(root.read_text(path, limit=_SHORT))
    return 0


def _cma(root: Root) -> int:
    """Return the bytes of the ranges, FIRST-LAST in hexadecimal (kernel/kexec_core.c, 6.17)."""
    with suppress(OSError, ValueError):
        lines = root.read_text(f"{_KERNEL}/kexec/crash_cma_ranges", limit=_SHORT).splitlines()
        ranges = [[int(end, 16) for end in line.split("-")] for line in lines]
        return sum(last - first + 1 for first, last in ranges)
    return 0
