# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory to reserve on a host, and why: a term for each thing that takes some."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ...bootloaders import crashwords
from ...config.effective import Effective
from ...config.settings import HOST, HostSettings
from ...core.errors import KdumpInitrdError, UsageError
from ...core.root import Root
from ...image import reservation
from ...probe.distro.architectures import facts
from ...probe.distro.profiles import Distro
from ...probe.kernel import releases as kernel
from ...probe.kernel.releases import KernelRelease
from ...recipes.parts.kernelterms import terms_of
from .. import record
from ..ready import readiness
from ..record import Record

_MIB, _GIB = 1 << 20, 1 << 30
#: With memory encryption the kernel copies all that devices read and write: the smallest of its
#: buffers for that (IO_TLB_DEFAULT_SIZE, include/linux/swiotlb.h).
_BOUNCE = 64
_ENCRYPTED = re.compile(r"(Memory Encryption Features active: AMD SM?E\S*)")
_MEM_TOTAL = re.compile(r"^MemTotal: +(\d+) kB", re.MULTILINE)
_MEM_ENCRYPT = "mem_encrypt=on"
#: What a processor more takes, and what these drivers take beside their size, in MiB, by whether
#: pages have 64 KiB: kdump-utils, kdump_get_arch_recommend_crashkernel in kdump-lib.sh.
_PROCESSOR = 1
_DRIVERS = {"mlx5_core": (150, 200)}
_SMMU = 384
_LARGE_PAGE = 1 << 16
#: Fleets: from which memory on a machine gets a reservation, as kdump-tools has it (512M-:192M).
_SMALLEST = "512M"
_SHORT = 1 << 20


@dataclass(frozen=True)
class Term:
    """A part of the reservation, in MiB, and what it is for."""

    name: str
    mib: int
    why: str


@dataclass(frozen=True)
class Advice:
    """What to reserve: the words, and their ``terms``, of which there are none if it is configured.

    ``least`` are the MiB without which the image cannot work, 0 where there is no image to tell;
    ``origin`` is the "FILE:LINE" of what is configured, "" if nothing is. ``table`` is a word for
    machines of any size that are otherwise like this one.
    """

    words: tuple[str, ...]
    terms: tuple[Term, ...]
    least: int
    origin: str
    table: str

    @property
    def mib(self) -> int:
        """The MiB that the terms add up to."""
        return _rounded(sum(term.mib for term in self.terms))


def advise(root: Root, profile: Distro, configured: Effective) -> Advice:
    """Return what to reserve on a host; raises KdumpInitrdError for a wrong configured word."""
    least, image, found = _of_images(root, profile)
    machine = found.header.machine if found and found.header else _machine()
    grows = facts().named(machine).reservation.grows
    terms = [*image, *_of_machine(root, profile, machine, found)]
    size = memory(root)
    larger = max((more for start, more in grows if size >= start), default=0)
    usual = _rounded(sum(term.mib for term in terms))
    if larger:
        why = f"drivers and tables of a machine with {size // _GIB} GiB, as kdump-utils adds it"
        terms.append(Term("machine", larger // _MIB, why))
    wanted = HostSettings(**configured.settings(HOST)).crashkernel
    origin = configured.origins.get("crashkernel", "") if wanted != "auto" else ""
    advice = Advice((), tuple(terms), least, origin, _table(usual, grows))
    words = (f"{crashwords.NAME}{advice.mib}M",) if not origin else _configured(wanted, origin)
    return Advice(words, () if origin else advice.terms, least, origin, advice.table)


def memory(root: Root) -> int:
    """Return the bytes of memory that the kernel counts for ranges; 0 if the system does not run.

    Only root is told where memory is (/proc/iomem); otherwise it is what the kernel has left.
    """
    total = 0
    with suppress(OSError):
        for line in root.read_text("proc/iomem", limit=_SHORT).splitlines():
            place, _, name = line.partition(" : ")
            if name == "System RAM" and not line.startswith(" "):
                first, _, last = place.partition("-")
                total += int(last, 16) - int(first, 16) + 1
    if total > _MIB:
        return total
    with suppress(OSError):
        match = _MEM_TOTAL.search(root.read_text("proc/meminfo", limit=_SHORT))
        return int(match[1]) << 10 if match else 0
    return 0


def _configured(wanted: str, origin: str) -> tuple[str, ...]:
    try:
        return crashwords.parse(wanted)
    except UsageError as error:
        raise KdumpInitrdError(
            f"{origin}: crashkernel: {error.message}", hint=error.hint
        ) from error


def _of_images(root: Root, profile: Distro) -> tuple[int, list[Term], KernelRelease | None]:
    """Return the least MiB, the terms of the image that takes most, and its kernel."""
    best: tuple[int, list[Term], KernelRelease | None] | None = None
    for made in record.every(root=root).values():
        if made.kind != "capture":
            continue
        with suppress(KdumpInitrdError, OSError):
            found = kernel.find(made.release, root=root, layout=profile.kernel)
            terms = list(_parts(made, found, root))
            total = sum(term.mib for term in terms)
            if best is None or total > sum(term.mib for term in best[1]):
                best = (
                    readiness.needed(root.real_path(root.path / made.output), found)[0],
                    terms,
                    found,
                )
    if best is not None:
        return best
    return 0, [Term("image", reservation.USUAL, "usual: no image is known here yet")], None


def _parts(made: Record, found: KernelRelease, root: Root) -> Iterator[Term]:
    """Yield the terms of a recorded image with its kernel."""
    path = root.file(root.path / made.output)
    if path is None:
        raise KdumpInitrdError(f"{made.output}: is not there")
    machine = found.header.machine if found.header else ""
    weight, terms = reservation.weigh(path), terms_of(machine, found.header, found.config)
    whole = reservation.crashkernel(weight, terms)
    parts = reservation.parts(weight, terms)
    kernels = parts["kernel"] + parts["runtime"]
    yield Term("kernel", kernels // _MIB, f"{made.release}, unpacked, and what it needs itself")
    rest = -(-(sum(parts.values()) - kernels) // _MIB)
    yield Term("image", rest, f"{made.output}, unpacked, and the saver")
    yield Term("headroom", whole - rest - kernels // _MIB, "for drivers and tables, made even")
    large = terms.page >= _LARGE_PAGE
    for driver, sizes in _DRIVERS.items():
        if any(re.search(rf"/{driver}\.ko", entry) for entry in made.entries):
            yield Term(driver, sizes[large], "queues of the adapter, as kdump-utils adds it")


def _of_machine(
    root: Root, profile: Distro, machine: str, found: KernelRelease | None
) -> Iterator[Term]:
    """Yield the terms of what runs there."""
    running = readiness.running(root)
    if running is None:
        return
    line = running.cmdline.decode(errors="replace").split()
    if _MEM_ENCRYPT in line or readiness.in_log(_ENCRYPTED, root):
        yield Term("encryption", _BOUNCE, "buffers for devices, since memory is encrypted")
    config: Mapping[str, str] = found.config if found else {}
    header = found.header if found else None
    large = terms_of(machine, header, config).page >= _LARGE_PAGE
    if large and root.entries("sys/devices/platform", "arm-smmu-*"):
        yield Term("SMMU", _SMMU, "its queues with pages of 64 KiB, as kdump-utils adds it")
    more = _processors(root, profile.capture_cmdline(machine)) - 1
    if more > 0:
        yield Term("processors", more * _PROCESSOR, f"{more} more, each with memory of its own")


def _processors(root: Root, words: tuple[str, ...]) -> int:
    """Return for how many processors the capture kernel keeps memory.

    nr_cpus= limits that; maxcpus= only how many of them start.
    """
    said = [word.partition("=")[2] for word in words if word.startswith("nr_cpus=")]
    if said and said[-1].isdecimal():
        return int(said[-1])
    with suppress(OSError, ValueError):
        text = root.read_text("sys/devices/system/cpu/possible", limit=_SHORT).strip()
        return int(re.split("[-,]", text)[-1]) + 1
    return 1


def _machine() -> str:
    import platform

    return platform.machine()


def _table(usual: int, grows: tuple[tuple[int, int], ...]) -> str:
    """Return a word of ranges: what is usual, and what larger machines take beyond that."""
    starts = [(_SMALLEST, usual)]
    starts += [(f"{start // _GIB}G", _rounded(usual + more // _MIB)) for start, more in grows]
    ends = [start for start, _ in starts[1:]] + [""]
    ranges = (f"{start}-{end}:{mib}M" for (start, mib), end in zip(starts, ends))
    return f"{crashwords.NAME}{','.join(ranges)}"


def _rounded(mib: int) -> int:
    return -(-mib // reservation.STEP_MIB) * reservation.STEP_MIB
