# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture kernel's command line: what is built in, what is taken over, what is appended.

The hook (templates/first/arm.j2) puts it together in a shell, and this module does the same for
the running system; a test holds one against the other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...config.settings import FirstKernelSettings
from ...core.errors import KdumpInitrdError
from ...probe.distro.profiles import Distro
from ...saver.low import kernelline
from .capturepair import CapturePair

#: The most bytes that are added to the command line when it is loaded. With kexec -s, the kernel
#: adds "elfcorehdr=0x… " and "dmcryptkeys=0x… " (arch/x86/kernel/kexec-bzimage64.c: 30 and 31), and
#: counts the NUL; with kexec -c, kexec-tools add " elfcorehdr=…K" and " acpi_rsdp=0x…"
#: (kexec/arch/i386/crashdump-x86.c), on ppc64 " savemaxmem=…M".
_ADDED = 64


@dataclass(frozen=True)
class CaptureLine:
    """What the command line is made from.

    ``built_in`` is the image's, ``append`` follows the words that are taken over. These are the
    parameters of the running kernel whose name is in ``inherit``, with "_" for "-" and perhaps a
    "*" at the end, but not in ``remove``. ``room`` are the bytes for all but ``append``.
    """

    built_in: str
    inherit: tuple[str, ...]
    remove: tuple[str, ...]
    append: str
    room: int

    def values(self) -> Mapping[str, object]:
        """Return what the hook's template is told."""
        names = ("inherit", "remove", "append", "room")
        return {"cmdline": self.built_in, **{name: getattr(self, name) for name in names}}

    def beside(self, running: str) -> tuple[str, list[str]]:
        """Return the command line for a machine, and the words that it has no room for.

        ``running`` is the running kernel's, as /proc/cmdline has it.
        """
        # The lines of a file are one; that is how a shell reads it.
        words = kernelline.words(running.removesuffix("\n").replace("\n", " "))
        kept = [word for word in words if self._takes(_name(word))]
        line, dropped = self.built_in, []
        if _size(" ".join([line, *kept])) > self.room:
            # The kernel's own words matter more than parameters of modules.
            for word in sorted(kept, key=lambda word: "." in _name(word)):
                if _size(line) + _size(word) < self.room:
                    line += f" {word}"
                else:
                    dropped.append(word)
            kept = []
        return " ".join(filter(None, [line, *kept, self.append])), dropped

    def _takes(self, name: str) -> bool:
        return _matches(name, self.inherit) and not _matches(name, self.remove)


def line_of(pair: CapturePair, settings: FirstKernelSettings, profile: Distro) -> CaptureLine:
    """Return what the command line of a pair is made from.

    Raises KdumpInitrdError for one that the capture kernel does not accept.
    """
    manifest = pair.manifest
    built_in = manifest.cmdline if manifest else ""
    append = " ".join(filter(None, [settings.inherit_cmdline, settings.append_cmdline]))
    longest = pair.image.cmdline - _ADDED
    modules = manifest.modules if manifest else ()
    line = CaptureLine(
        built_in=built_in or " ".join(profile.capture_cmdline(pair.image.machine)),
        # Words that were given stand in place of the running kernel's.
        inherit=() if settings.inherit_cmdline else _inherited(modules, profile),
        remove=tuple(_checked(settings.remove_cmdline.split(), "--remove-cmdline")),
        append=append,
        room=longest - (_size(append) + 1 if append else 0),
    )
    if _size(line.built_in) > line.room:
        needed = _size(line.built_in) + longest - line.room
        raise KdumpInitrdError(
            f"the capture kernel's command line would have {needed} bytes, "
            f"and {pair.kernel} takes {longest}",
            hint="use fewer words in --append-cmdline"
            if append
            else "use fewer words in [cmdline] of the distribution's profile",
        )
    return line


def _inherited(modules: Iterable[str], profile: Distro) -> tuple[str, ...]:
    """Return the names of the parameters that are taken over, with "_" for "-".

    These are the names on the list, and any parameters of the image's modules and of the sets'
    drivers, which may be built into the kernel.
    """
    names = _checked(profile.cmdline.get("inherit", ()), "cmdline.inherit")
    drivers = (name for names in profile.hardware.values() for name in names)
    found = [each for each in (*modules, *drivers) if re.fullmatch(r"[\w-]+", each)]
    names += [f"{module}.*".replace("-", "_") for module in found]
    return tuple(dict.fromkeys(names))


def _checked(names: Sequence[str], where: str) -> list[str]:
    for name in names:
        if not re.fullmatch(r"[\w.-]+\*?", name):
            raise KdumpInitrdError(
                f"{where}: {name!r} is not a parameter name",
                hint="letters, digits, dots, dashes, and a * at the end",
            )
    return [name.replace("-", "_") for name in names]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(
        name.startswith(each[:-1]) if each.endswith("*") else name == each for each in patterns
    )


def _name(word: str) -> str:
    """Return the name of a parameter as the kernel compares it: parameter() of kernelline.sh."""
    name, _, value = word.removeprefix('"').partition("=")
    if word.startswith('"') and not value.startswith('"'):
        name = name.removesuffix('"')
    return name.replace("-", "_")


def _size(text: str) -> int:
    return len(os.fsencode(text))
