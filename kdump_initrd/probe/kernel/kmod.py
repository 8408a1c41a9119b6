# SPDX-License-Identifier: GPL-2.0-or-later
"""The closure of kernel modules in load order, checked against the modules themselves.

The index tells where a module is; what it needs, and whether this kernel loads it, is read from its
file. So no module is missing in an image because the index is older than the modules.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.root import Root
from .builtin import BuiltIn
from .modulechain import Chains, Found
from .modulefile import ModuleFile, canonical
from .moduleindex import ModuleIndex
from .packed import SUFFIXES
from .releases import KernelRelease

logger = get_logger(__name__)


@dataclass(frozen=True)
class Wish:
    """Modules (names or aliases) that somebody wants, and why.

    A ``required`` wish must be met for every name, by a module or by the kernel itself. A
    ``strict`` one is for a machine that is known to have such hardware: at least one of its drivers
    must be there, and none may be damaged.
    """

    names: tuple[str, ...]
    why: str
    required: bool = False
    strict: bool = False


@dataclass(frozen=True)
class KernelModule:
    """A module to load: its place in the image, its file, and its parameters in one line.

    ``data`` are its bytes, unpacked, since busybox's insmod knows no compression; ``file`` is what
    they say.
    """

    name: str
    dest: PurePosixPath
    source: Path
    parameters: str
    why: str
    data: bytes = field(default=b"", repr=False)
    file: ModuleFile = field(default_factory=ModuleFile, repr=False)


def closure(
    wishes: Iterable[Wish], *, kernel: KernelRelease, root: Root, omit: Iterable[str] = ()
) -> tuple[KernelModule, ...]:
    """Return the modules that meet ``wishes``, each once, in load order.

    Soft dependencies are followed; built-in modules are left out; so are those of ``omit``, with a
    warning if another module depends on one. What cannot be loaded (no file, cut off, of another
    kernel) is left out with a warning. Raises KdumpInitrdError if a required wish needs it, for a
    required name that is neither a module nor built in, for a strict wish of which nothing is
    left, and for a damaged index.
    """
    found: dict[str, KernelModule] = {}
    with tempfile.TemporaryDirectory(prefix="kdump-initrd-") as scratch:
        closer = _Closer(kernel, root, omit, Path(scratch))
        for wish in wishes:
            for modules in closer.meet(wish).values():
                for module in modules:
                    found.setdefault(module.name, module)
    return tuple(found.values())


def closures(
    wishes: Iterable[Wish], *, kernel: KernelRelease, root: Root, omit: Iterable[str] = ()
) -> dict[str, tuple[KernelModule, ...]]:
    """Return the same as closure(), but for each name of the wishes separately."""
    found: dict[str, tuple[KernelModule, ...]] = {}
    with tempfile.TemporaryDirectory(prefix="kdump-initrd-") as scratch:
        closer = _Closer(kernel, root, omit, Path(scratch))
        for wish in wishes:
            for name, modules in closer.meet(wish, apart=True).items():
                found.setdefault(name, modules)
    return found


class _Closer:
    """Meets wishes; each module is read once."""

    def __init__(
        self, kernel: KernelRelease, root: Root, omit: Iterable[str], scratch: Path
    ) -> None:
        self._kernel = kernel
        self._index = ModuleIndex(kernel, root, scratch)
        self._built_in = BuiltIn(kernel, root)
        self._chains = Chains(kernel, self._index, self._built_in)
        self._omitted = {canonical(name) for name in omit}
        self._warned: set[str] = set()

    def meet(self, wish: Wish, *, apart: bool = False) -> dict[str, tuple[KernelModule, ...]]:
        """Return what meets a wish: by each name if ``apart``, else all under one name."""
        names = [name for name in wish.names if canonical(name) not in self._omitted]
        groups = [[name] for name in names] if apart or wish.required else [names]
        found = {group[0]: self._group(group, wish) for group in groups if group}
        if wish.strict and names and not any(found.values()):
            self._check_hardware(names, wish)
        return found

    def _group(self, names: Sequence[str], wish: Wish) -> tuple[KernelModule, ...]:
        chain, asked = self._chains.of(names)
        if not chain and not asked and wish.required:
            self._insist(names[0], wish)
        for name in names:
            # With more than one, it is unknown which module is for which alias.
            answered = len(names) == 1 and chain
            known = answered or {canonical(name)} & (chain.keys() | asked) or ":" in name
            path = None if known else self._index.lacks(name)
            if path is not None:
                raise self._index.broken(f"it lacks {path}")
        bad = self._faults(chain, wish)
        if bad and len(names) > 1:
            parts = [self._group([name], wish) for name in names]
            return tuple({module.name: module for part in parts for module in part}.values())
        # The last module in modprobe's output is the last one asked for, whatever the alias was.
        last = next(reversed(chain), "")
        useless = bad and (canonical(names[0]) if canonical(names[0]) in chain else last) in bad
        modules = []
        for name, found in chain.items():
            if name in self._omitted:
                self._warn(f"{name} is omitted, but needed: {wish.why}")
            elif name in bad:
                self._warn(f"{wish.why}: {bad[name]}: left out")
            elif not useless:
                wanted = name in map(canonical, names) or name == last
                modules.append(
                    self._module(found, wish.why if wanted else f"dependency: {wish.why}")
                )
        return tuple(modules)

    def _faults(self, chain: Mapping[str, Found], wish: Wish) -> dict[str, str]:
        """Return, by name, why modules cannot be loaded, including faults of their dependencies.

        Raises KdumpInitrdError if the wish does not allow that.
        """
        bad: dict[str, str] = {}
        for name, found in chain.items():
            fault, gone = found.fault, found.gone
            for each in found.file.depends if not fault else ():
                if each in self._omitted:
                    continue
                if each in bad:
                    fault, gone = bad[each], True
                elif each not in chain and not self._built_in.has(each):
                    fault = (
                        f"{found.source}: needs {each}, which kernel {self._kernel.release} lacks"
                    )
                    gone = True
            if fault and (wish.required or (wish.strict and not gone)):
                raise KdumpInitrdError(
                    f"{wish.why}: {fault}",
                    hint=f"install the modules of {self._kernel.release} again, "
                    f"and run depmod {self._kernel.release}",
                )
            if fault:
                bad[name] = fault
        return bad

    def _insist(self, name: str, wish: Wish) -> None:
        """Raise KdumpInitrdError for a name that is not built in either."""
        if self._built_in.has(name):
            return
        plain = name.removeprefix("fs-")
        path = self._index.lacks(plain)
        if path is not None:
            raise self._index.broken(f"it lacks {path}")
        release = self._kernel.release
        hint = f"modprobe does not know {name} there: install it, or use another kernel"
        if self._kernel.modules is None:
            hint = f"there is no folder lib/modules/{release}: install the modules of that kernel"
        raise KdumpInitrdError(
            f"{wish.why}: neither a module of kernel {release} nor built in", hint=hint
        )

    def _check_hardware(self, names: Sequence[str], wish: Wish) -> None:
        """Raise KdumpInitrdError if the kernel has no driver for hardware that is there."""
        if any(self._built_in.has(name) for name in names):
            return
        release = self._kernel.release
        if not self._built_in.is_known:
            self._warn(
                f"{wish.why}: kernel {release} has no driver for it as a module, and its list of "
                "built-in drivers is missing: check its configuration"
            )
            return
        raise KdumpInitrdError(
            f"{wish.why}: kernel {release} has none of its drivers",
            hint="install its modules, use another kernel, or name the hardware with --hardware",
        )

    def _module(self, found: Found, why: str) -> KernelModule:
        assert found.source is not None
        path = found.listed.path
        if path.suffix in SUFFIXES:
            path = path.with_suffix("")
        dest = PurePosixPath("/usr/lib/modules", self._kernel.release, path).relative_to("/")
        return KernelModule(
            found.listed.name, dest, found.source, found.listed.parameters, why,
            found.data, found.file,
        )  # fmt: skip

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            logger.warning("%s", text)


def aliases(modules: Iterable[KernelModule]) -> dict[str, tuple[str, ...]]:
    """Return, by name, the patterns of the devices (MODALIAS) that each module is a driver for."""
    return {
        module.name: tuple(each for each in module.file.aliases if ":" in each)
        for module in modules
    }
