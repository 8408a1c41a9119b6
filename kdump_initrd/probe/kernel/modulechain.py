# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel module needs, as it says itself: the index only tells where modules are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ..programs.elfimage import Damaged
from . import modulefile
from .builtin import BuiltIn
from .modulefile import ModuleFile, canonical
from .moduleindex import Answer, Listed, ModuleIndex
from .packed import unpacked
from .releases import KernelRelease

#: Links to modules of other kernels that the distribution has compared with this one, symbol by
#: symbol (weak-modules of Red Hat and SUSE).
WEAK = "weak-updates"


@dataclass(frozen=True)
class Found:
    """A module in the index: ``fault`` says why it cannot be loaded, "" if it can.

    ``gone`` says that its file is missing.
    """

    listed: Listed
    source: Path | None = None
    data: bytes = b""
    file: ModuleFile = field(default_factory=ModuleFile)
    fault: str = ""
    gone: bool = False


class Chains:
    """Modules with all that they need; each is read once, each name asked for once."""

    def __init__(self, kernel: KernelRelease, index: ModuleIndex, built_in: BuiltIn) -> None:
        self._kernel = kernel
        self._machine = kernel.header.machine if kernel.header else ""
        self._index = index
        self._built_in = built_in
        self._files: dict[PurePosixPath, Found] = {}
        self._answers: dict[tuple[str, ...], Answer] = {}

    def of(self, names: Sequence[str]) -> tuple[dict[str, Found], set[str]]:
        """Return what ``names`` need, dependencies first, and the names that were found."""
        order: dict[str, Found] = {}
        answer = self._ask(names)
        if not answer.modules and not answer.built_in and len(names) == 1:
            # A kernel without a list of aliases: a file system's module usually has its name.
            answer = self._ask([names[0].removeprefix("fs-")])
        for listed in answer.modules:
            self._place(listed, order, frozenset())
        return order, set(answer.built_in)

    def _place(self, listed: Listed, order: dict[str, Found], above: frozenset[str]) -> None:
        """Put a module after all that it says it needs, whether the index knows that or not."""
        if listed.name in order or listed.name in above:
            return
        found = self._read(listed)
        below = above | {listed.name}
        missing = [name for name in found.file.depends if not self._is_met(name, order)]
        missing += [name for name in found.file.soft("pre") if not self._is_met(name, order)]
        for name in missing:
            for each in self._ask([name]).modules:
                self._place(each, order, below)
        order[listed.name] = found
        for name in found.file.soft("post"):
            if not self._is_met(name, order):
                for each in self._ask([name]).modules:
                    self._place(each, order, below)

    def _is_met(self, name: str, order: Mapping[str, Found]) -> bool:
        plain = canonical(name)
        return (
            plain in order
            or any(plain in map(canonical, found.file.aliases) for found in order.values())
            or self._built_in.has(name)
        )

    def _ask(self, names: Sequence[str]) -> Answer:
        key = tuple(names)
        if key not in self._answers:
            self._answers[key] = self._index.ask(names)
        return self._answers[key]

    def _read(self, listed: Listed) -> Found:
        if listed.path not in self._files:
            self._files[listed.path] = self._look_at(listed)
        return self._files[listed.path]

    def _look_at(self, listed: Listed) -> Found:
        source = self._index.file(listed.path)
        if source is None:
            assert self._kernel.modules is not None
            place = self._kernel.modules / listed.path
            return Found(listed, fault=f"{place}: no such file", gone=True)
        try:
            data = unpacked(source)
            file = modulefile.read(data)
        except KdumpInitrdError as error:
            return Found(listed, source, fault=error.message)
        except Damaged as error:
            return Found(listed, source, fault=f"{source}: {error}")
        fault = modulefile.fault(
            file,
            release=self._kernel.release,
            machine=self._machine,
            weak=listed.path.parts[0] == WEAK,
        )
        return Found(listed, source, data, file, fault=f"{source}: {fault}" if fault else "")
