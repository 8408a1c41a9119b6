# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of a kernel module: whether it is whole, and what it says of itself (modinfo)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..programs.elfimage import RELOCATABLE, Damaged, ElfImage

#: include/linux/module_signature.h: MODULE_SIG_STRING.
_SIGNED = b"~Module signature appended~\n"


def canonical(name: str) -> str:
    """Return the one spelling of a module name (kmod treats ``-`` and ``_`` alike)."""
    return name.replace("-", "_")


@dataclass(frozen=True)
class ModuleFile:
    """What a module is for and what it needs.

    ``machine`` is as ``uname -m`` says it. ``fields`` are those of its section .modinfo, by key
    (include/linux/moduleparam.h, MODULE_INFO). ``versioned`` tells whether it has the checksums of
    the symbols that it takes from others (CONFIG_MODVERSIONS).
    """

    machine: str = ""
    versioned: bool = False
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """The release of the kernel that it was built for; "" if it does not say."""
        words = " ".join(self.fields.get("vermagic", ())).split()
        return words[0] if words else ""

    @property
    def depends(self) -> tuple[str, ...]:
        """The modules whose symbols it takes (modpost's field)."""
        names = ",".join(self.fields.get("depends", ())).split(",")
        return tuple(canonical(name) for name in names if name)

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names and patterns of devices by which it is asked for, each once."""
        return tuple(dict.fromkeys(self.fields.get("alias", ())))

    def soft(self, when: str) -> tuple[str, ...]:
        """Return the names that it wants loaded before ("pre") or after ("post") it.

        (modprobe.d(5), softdep; the format is MODULE_SOFTDEP's.)
        """
        found, now = [], ""
        for word in " ".join(self.fields.get("softdep", ())).split():
            if word.endswith(":"):
                now = word[:-1]
            elif now == when:
                found.append(word)
        return tuple(found)


def read(data: bytes) -> ModuleFile:
    """Read a module, unpacked; raises Damaged for one that is not whole.

    The checks are the kernel's own before it lays a module out (kernel/module/main.c,
    elf_validity_check).
    """
    image = ElfImage(data)
    if image.kind != RELOCATABLE:
        raise Damaged("not a kernel module")
    sections = image.sections()
    if ".modinfo" not in sections:
        raise Damaged("not a kernel module")
    # What is behind the sections is a signature (scripts/sign-file.c).
    if len(data) > image.end and not data.endswith(_SIGNED):
        raise Damaged("cut off in its signature")
    fields: dict[str, list[str]] = {}
    for word in sections[".modinfo"].decode("utf-8", "replace").split("\0"):
        key, equals, value = word.partition("=")
        if equals:
            fields.setdefault(key, []).append(value)
    return ModuleFile(
        image.architecture.name,
        # Of 6.13 and later there may be the second only (scripts/mod/modpost.c).
        "__versions" in sections or "__version_ext_crcs" in sections,
        {key: tuple(values) for key, values in fields.items()},
    )


def fault(module: ModuleFile, *, release: str, machine: str, weak: bool) -> str | None:
    """Return why the kernel ``release`` of ``machine`` ("" for unknown) would refuse it, or None.

    A ``weak`` one is a module of another kernel that the distribution's weak-modules has compared,
    symbol by symbol, with this one: if there are checksums of symbols, the kernel ignores the
    release (kernel/module/version.c, same_magic).
    """
    if not module.release:
        return "does not say which kernel it is for"
    if module.release != release and not (weak and module.versioned):
        return f"is for kernel {module.release}"
    if machine and module.machine != machine:
        return f"is for {module.machine}, the kernel for {machine}"
    return None
