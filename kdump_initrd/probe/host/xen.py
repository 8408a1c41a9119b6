# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this machine's kernel is Xen's dom0: a crash of it is Xen's, and so is its capture."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import KdumpInitrdError

#: Why a dom0 is refused, for the hook's line in the kernel log, too.
DOM0 = (
    "this is Xen's dom0, where a crash ends Xen: crashkernel= belongs on Xen's own command line, "
    "and the capture kernel is loaded by a kexec-tools with Xen support"
)
#: include/xen/interface/features.h: the bit of XENFEAT_dom0.
_DOM0 = 11


def check(top: Path = Path("/")) -> None:
    """Refuse a machine whose kernel, by /proc and /sys in ``top``, is dom0: KdumpInitrdError."""
    if _is_dom0(top):
        raise KdumpInitrdError(
            DOM0, hint="kdump-initrd does not support that; --root DIR builds for another system"
        )


def _is_dom0(top: Path) -> bool:
    # drivers/xen/sys-hypervisor.c; xenfs, where it is mounted, says it in a word.
    if _read(top / "sys/hypervisor/type") != "xen":
        return False
    if "control_d" in _read(top / "proc/xen/capabilities").split():
        return True
    try:
        features = int(_read(top / "sys/hypervisor/properties/features"), 16)
    except ValueError:
        return False
    return bool(features >> _DOM0 & 1)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
