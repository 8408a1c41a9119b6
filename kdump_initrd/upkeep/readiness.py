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

from ..core.errors import KdumpInitrdError
from ..core.root import Root
from ..image import reservation
from ..probe.kernel import kernelimage
from ..recipes.parts.kernelterms import terms_of

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
_OTHERS = ("kdump-tools.service", "kdump.service", "kdump-early.service")
_WORD = re.compile(rb"(?<![\w.])crashkernel=")
_REFUSAL = re.compile(r";kdump-initrd: (not armed: .*)")
_CRASH = "echo c >/proc/sysrq-trigger"
_MIB = 1 << 20


@dataclass(frozen=True)
class Running:
    """The running kernel: its command line, the MiB that it has reserved, what is loaded there."""

    cmdline: bytes
    reserved: int
    loaded: bool


def say(root: Root, images: Iterable[tuple[Path, Path]], *, dumps: str) -> Iterator[str]:
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
    machine: Running | None, root: Root, images: Iterable[tuple[Path, Path]], *, dumps: str
) -> Iterator[str]:
    """Yield what a machine lacks; it is None if the system does not run, as in a chroot."""
    if machine is not None and machine.loaded:
        return
    test = (
        f"  test it, which crashes this machine immediately: {_CRASH}; the dump will be in {dumps}"
    )
    said = machine is not None and _WORD.search(machine.cmdline) is not None
    if machine is not None and machine.reserved:
        why = (
            _refusal(root.path / "dev/kmsg")
            or "not armed: the machine was started before its initrd was built"
        )
        yield f"{why}\n  restart; dmesg | grep kdump-initrd shows the result\n{test}"
    elif said:
        yield (
            "not armed: the kernel could not reserve what crashkernel= on its command line asks "
            f"for\n  dmesg | grep -i crashkernel tells why; {_size(images)} is enough, then restart"
            f"\n{test}"
        )
    elif is_in(_LOADER, root):
        yield f"not armed: crashkernel= is configured, but not in effect yet\n  restart\n{test}"
    elif is_in(_SOURCES, root):
        yield (
            "not armed: crashkernel= is in GRUB's defaults, but not in what GRUB reads\n"
            f"  run update-grub (or grub2-mkconfig -o /boot/grub2/grub.cfg), then restart\n{test}"
        )
    else:
        yield (
            "not armed: no memory is reserved, crashkernel= is not on the kernel's command line\n"
            f"  {_command(root, _size(images))}\n"
            f"  then restart, and{test[1:]}"
        )


def running(root: Root) -> Running | None:
    """Return the state of the running kernel; None if ``root`` is not what runs on it."""
    with suppress(OSError):
        if not os.path.samestat((root.path / "proc/1/root").stat(), root.path.stat()):
            return None
    try:
        cmdline = (root.path / "proc/cmdline").read_bytes()
    except OSError:
        return None
    size, loaded = (_said(root.path / "sys/kernel", name) for name in ("size", "loaded"))
    return Running(cmdline, size // _MIB, bool(loaded))


def others(root: Root) -> list[str]:
    """Return the units of other tools that are enabled in a root."""
    units = root.real_path(root.path / "etc/systemd/system")
    wanted = root.folders(root.entries(units, "*.wants"))
    return [
        name
        for name in _OTHERS
        if any(os.path.lexists(folder / name) for folder in wanted) and not _is_masked(units / name)
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


def _size(images: Iterable[tuple[Path, Path]]) -> str:
    """Return the word that reserves enough memory for each of the images."""
    sizes = [0]
    for image, kernel in images:
        with suppress(KdumpInitrdError):
            header = kernelimage.read(kernel)
            terms = terms_of(header.machine, header.unpacked)
            sizes.append(reservation.crashkernel(reservation.weigh(image), terms))
    return f"crashkernel={max(sizes) or reservation.USUAL}M"


def _refusal(log: Path) -> str:
    """Return the last reason in the kernel log of this boot, "" if there is none."""
    found = ""
    with suppress(OSError):
        descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # Each read gives one record (Documentation/ABI/testing/dev-kmsg), EAGAIN marks the end.
            while text := os.read(descriptor, 1 << 13).decode(errors="replace"):
                match = _REFUSAL.search(text)
                found = match[1].strip() if match else found
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
    return found


def _is_masked(unit: Path) -> bool:
    return unit.is_symlink() and str(unit.readlink()) == os.devnull


def _said(kernel: Path, name: str) -> int:
    """Return a number of the crash kernel's, 0 where neither of its files has one."""
    for path in (kernel / f"kexec/crash_{name}", kernel / f"kexec_crash_{name}"):
        with suppress(OSError, ValueError):
            return int(path.read_text())
    return 0
