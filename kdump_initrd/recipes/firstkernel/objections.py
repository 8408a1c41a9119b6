# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in the way of loading a capture kernel, in words: the hook's, and this program's.

The template of the hook gets all of it, so that both look for the same and say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...probe.distro.architectures import OldCall
from ...probe.host import xen

#: A kernel that was built without any of it.
UNABLE = "this kernel cannot load a capture kernel"
#: What kexec says of a call that the kernel does not have: what the next one says counts more.
UNAVAILABLE = ("not implemented", "not supported", "kexec_file_load not available")
#: What it says where a policy forbids it (lockdown, Secure Boot, kexec_load_disabled, a security
#: module), and where the reservation is full.
_FORBIDDEN = ("not permitted", "Permission denied", "key", "Key", "Bad message")
_FULL = ("Cannot assign requested address", "Cannot allocate memory", "free area of memory")
_POLICY = "lockdown, or a policy like it"
#: The lines of kexec that are no reason: behind its error it lists the segments that it wanted.
_TABLE = ("entry", "nr_segments", "segment[")


@dataclass(frozen=True)
class Limits:
    """The reservation in MiB: below ``floor`` nothing is loaded, ``least`` may work, ``wanted``."""

    floor: int
    least: int
    wanted: int

    def none(self) -> str:
        """Return what is said where nothing is reserved."""
        return f"no crashkernel= reservation: boot with crashkernel={self.wanted}M"

    def too_small(self, mib: int | str) -> str:
        """Return what is said of a reservation of so many MiB, which cannot do."""
        return f"the reservation of {mib} MiB is too small: boot with crashkernel={self.wanted}M"

    def scarce(self, mib: int | str) -> str:
        """Return what is said of one that may do."""
        return f"only {mib} MiB are reserved: boot with crashkernel={self.wanted}M"


def no_dump(option: str) -> str:
    """Return what is said where kexec -c would write headers that no tool can read."""
    return (
        "kexec -c does not find this kernel in memory, and no tool could read the dump: boot a "
        f"kernel with {option} or CONFIG_KEXEC_FILE"
    )


def mistaken(symbol: str) -> tuple[str, str]:
    """Return what kexec -c says where it has not found the symbol, and loads all the same."""
    return f"symbol of {symbol}", f"{symbol} symbol"


def is_unavailable(said: str) -> bool:
    """Tell whether kexec said that the kernel does not have the call."""
    return not said or _has(said, UNAVAILABLE)


def explained(said: str, limits: Limits, mib: int | str) -> str:
    """Return what kexec means, where an administrator can do something about it; else ""."""
    if _has(said, _FORBIDDEN):
        return f"{_POLICY}: {said}"
    return f"{limits.too_small(mib)} ({said})" if _has(said, _FULL) else ""


def reason(output: str, status: int) -> str:
    """Return the reason in what kexec printed, in one line; its exit status where there is none."""
    lines = (line.strip() for line in output.splitlines())
    return "; ".join(each for each in lines if each and not each.startswith(_TABLE)) or (
        f"status {status}"
    )


def values(limits: Limits, old: OldCall) -> Mapping[str, object]:
    """Return all of it for the template of the hook.

    Its variable ``mib`` has the whole reservation, and ``has`` its parts for people.
    """
    return {
        "dom0": xen.DOM0,
        "floor": limits.floor,
        "least": limits.least,
        "unable": UNABLE,
        "unreserved": limits.none(),
        "too_small": limits.too_small("$has"),
        "scarce": limits.scarce("$mib"),
        "no_dump": no_dump(old.symbols_option),
        "mistaken": mistaken(old.symbol),
        "unavailable": UNAVAILABLE,
        "policy": _POLICY,
        "forbidden": _FORBIDDEN,
        "full": _FULL,
    }


def _has(said: str, texts: Sequence[str]) -> bool:
    return any(text in said for text in texts)
