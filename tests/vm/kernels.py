# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels to crash: the host's own, and Debian's of any suite and architecture."""

from __future__ import annotations

import lzma
import os
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import run

from .architectures import X86_64, Architecture
from .cached import cache, making
from .suites import Suite, version_key
from .tools import MissingTool, tool

#: What images take from a root, beside the kernel, and what judges its dump.
USERLAND = (
    *("base-files", "busybox-static", "dash", "kexec-tools", "liblzo2-2", "libzstd1"),
    *("makedumpfile", "python3", "util-linux", "zlib1g"),
)


class NoKernel(Exception):
    """No kernel to test with; the text says where one was looked for."""


@dataclass(frozen=True)
class Kernel:
    """A kernel release, its image, and the root whose modules folder belongs to it."""

    release: str
    image: Path
    root: Path = Path("/")
    architecture: Architecture = X86_64

    @property
    def foreign(self) -> bool:
        """Whether programs of its root are for another architecture than the host's."""
        return self.architecture is not X86_64

    @property
    def programs(self) -> Path:
        """The root that programs for its machine are of, with their libraries."""
        return self.root if self.foreign else Path("/")

    def program(self, name: str) -> Path:
        """Return a program that its machine can run: the host's, or one of a foreign root.

        Raises MissingTool.
        """
        if not self.foreign:
            return tool(name)
        for folder in ("usr/bin", "usr/sbin", "bin", "sbin"):
            if (self.root / folder / name).is_file():
                return self.root / folder / name
        raise MissingTool(f"{name}: not in {self.root}")

    @property
    def modules(self) -> Path:
        """The folder of the kernel's modules, with the root in front."""
        usr = self.root / "usr/lib/modules" / self.release
        return usr if usr.is_dir() else self.root / "lib/modules" / self.release

    def load_order(self, *names: str) -> dict[str, bytes]:
        """Return modules and those they need, in the order to load them: NAME.ko → contents.

        What is built in, or not there at all, is left out.
        """
        found: dict[str, bytes] = {}
        for name in names:
            argv = ["modprobe", "-D", "-S", self.release, "-d", str(self.modules.parents[2]), name]
            for line in run(argv, timeout=30, check=False).stdout.decode().splitlines():
                verb, _, rest = line.strip().partition(" ")
                if verb == "insmod":
                    path = Path(rest.split()[0])
                    data = path.read_bytes()
                    plain = lzma.decompress(data) if path.suffix == ".xz" else data
                    found.setdefault(path.name.partition(".")[0] + ".ko", plain)
        return found


def newest(root: Path = Path("/"), architecture: Architecture = X86_64) -> Kernel:
    """Return the kernel of KDUMP_TEST_KERNEL (a release), or the newest one.

    It is in /boot, or beside its modules. Raises NoKernel with the list of what was looked for.
    """
    wanted = os.environ.get("KDUMP_TEST_KERNEL") if root == Path("/") else None
    images = {path.parent.name: path for path in root.glob("usr/lib/modules/*/vmlinu[xz]")}
    images |= {path.name.partition("-")[2]: path for path in root.glob("boot/vmlinu[xz]-*")}
    if wanted is not None and wanted not in images:
        raise NoKernel(f"KDUMP_TEST_KERNEL={wanted}: not among {sorted(images)} of {root}")
    if not images:
        raise NoKernel(f"no kernel to test with: {root} has no vmlinuz or vmlinux in /boot")
    release = wanted or max(images, key=version_key)
    kernel = Kernel(release, images[release], root, architecture)
    if not kernel.modules.is_dir():
        raise NoKernel(f"{kernel.image}: its modules are not in {kernel.modules}")
    return kernel


@dataclass(frozen=True)
class Source:
    """Where a kernel to crash comes from.

    ``pattern`` is a regular expression for the names of the suite's packages of it, ``variant``
    tells it from the suite's usual kernel. ``beside`` are more packages for its root.
    """

    suite: Suite
    pattern: str
    variant: str = ""
    beside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What its root in the cache is called."""
        return "-".join(filter(None, (self.suite.place, self.variant)))


def fetched(source: Source) -> Kernel:
    """Return the newest kernel of a source, in a root of its own below cache().

    The root has what a capture image takes from one, too; it is fetched only if it is not there
    yet. Raises NoPackages.
    """
    root, suite = cache() / source.name, source.suite
    with making(root) as missing, making(suite.lock):
        if missing:
            suite.update()
            fresh = suite.unpack(root, suite.newest(source.pattern), *USERLAND, *source.beside)
            kernel = newest(fresh)
            run(["depmod", "-b", kernel.modules.parents[2], kernel.release], timeout=120)
            fresh.rename(root)
    return newest(root, suite.architecture)
