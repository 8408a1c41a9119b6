# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel has built in: by its own lists, or by its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath

from ...core.root import Root
from .modulefile import canonical
from .releases import KernelRelease

#: Modules whose option has another name (from the kernel's Makefiles).
_OPTIONS = {
    "sd_mod": ("BLK_DEV_SD",),
    "nvme": ("BLK_DEV_NVME",),
    "ahci": ("SATA_AHCI",),
    "virtio_scsi": ("SCSI_VIRTIO",),
    "md_mod": ("BLK_DEV_MD",),
    "dm_mod": ("BLK_DEV_DM",),
    "loop": ("BLK_DEV_LOOP",),
    "xen_blkfront": ("XEN_BLKDEV_FRONTEND",),
    "hv_vmbus": ("HYPERV",),
    "hv_storvsc": ("HYPERV_STORAGE",),
    "xhci_pci": ("USB_XHCI_PCI",),
    "ehci_pci": ("USB_EHCI_PCI",),
    "uas": ("USB_UAS",),
    "sdhci_pci": ("MMC_SDHCI_PCI",),
    "sdhci_acpi": ("MMC_SDHCI_ACPI",),
}
#: File systems that another one's driver serves (fs/ext4/super.c: register_as_ext2, …_ext3).
_FILE_SYSTEMS = {"ext2": ("EXT2_FS", "EXT4_USE_FOR_EXT2"), "ext3": ("EXT3_FS", "EXT4_FS")}


class BuiltIn:
    """The modules that are part of one kernel."""

    def __init__(self, kernel: KernelRelease, root: Root) -> None:
        self._kernel = kernel
        self._root = root

    @property
    def is_known(self) -> bool:
        """Whether anything tells what the kernel has built in."""
        return bool(self._kernel.config) or self._text("modules.builtin") is not None

    def has(self, name: str) -> bool:
        """Tell whether a module, or one with that alias ("fs-ext4", a MODALIAS), is built in.

        The lists come first (Documentation/kbuild/kbuild.rst: modules.builtin and
        modules.builtin.modinfo), then the configuration.
        """
        plain = canonical(name)
        # A file system's module usually has its name.
        if self._names & {plain, plain.removeprefix("fs_")}:
            return True
        if any(canonical(pattern) == plain for pattern in self._aliases):
            return True
        if ":" in name:
            return any(fnmatchcase(name, pattern) for pattern in self._aliases if ":" in pattern)
        return any(self._kernel.builds_in(f"CONFIG_{option}") for option in _options(name))

    @cached_property
    def _names(self) -> frozenset[str]:
        paths = (
            PurePosixPath(line.strip())
            for line in (self._text("modules.builtin") or "").splitlines()
        )
        names = {canonical(path.name.partition(".ko")[0]) for path in paths if path.name}
        return frozenset(names | {canonical(name) for name, _, _ in self._fields()})

    @cached_property
    def _aliases(self) -> tuple[str, ...]:
        return tuple(value for _, key, value in self._fields() if key == "alias")

    def _fields(self) -> Iterator[tuple[str, str, str]]:
        """Yield (module, key, value) of modules.builtin.modinfo."""
        for word in (self._text("modules.builtin.modinfo") or "").split("\0"):
            name, dot, rest = word.partition(".")
            key, equals, value = rest.partition("=")
            if dot and equals:
                yield name, key, value

    def _text(self, name: str) -> str | None:
        modules = self._kernel.modules
        if modules is None:
            return None
        try:
            return self._root.read_text(modules / name)
        except OSError:
            return None


def _options(name: str) -> tuple[str, ...]:
    """Return the options of a module or an alias of a file system, without CONFIG_."""
    if name.startswith("fs-"):
        kind = name[3:]
        return _FILE_SYSTEMS.get(kind, (f"{kind.upper().replace('-', '_')}_FS",))
    plain = canonical(name)
    return (*_OPTIONS.get(plain, ()), plain.upper(), f"{plain.upper()}_FS")
