# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels of the tests' own, from Debian's sources: where Debian's own lack what is tested."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from kdump_initrd.core.run import run

from .architectures import AARCH64_LPA2, S390X
from .cached import cache, making
from .kernels import USERLAND, Kernel, newest
from .rootfs import digest
from .suites import Suite


@dataclass(frozen=True)
class Own:
    """A kernel for a root of a suite.

    ``sources`` are the suite that has them and their package; ``config``, a file beside this one,
    and what all have are added to the smallest configuration; ``linux`` is what Linux calls the
    architecture, ``image`` its kernel image, and ``cross`` what the names of its compiler's
    programs begin with.
    """

    suite: Suite
    sources: tuple[Suite, str]
    config: str
    linux: str
    image: str
    cross: str

    @property
    def options(self) -> str:
        """Its configuration, as lines of Kconfig."""
        files = (Path(__file__).with_name(name) for name in ("own.config", self.config))
        return "".join(each.read_text() for each in files)

    @property
    def name(self) -> str:
        """What its root in the cache is called."""
        return f"own-{self.linux}-{digest(self.sources[1], self.options)}"


_SOURCES_6_12 = (Suite("trixie"), "linux-source-6.12")
#: Debian's kernels for it are without CONFIG_CRASH_DUMP.
S390X_6_12 = Own(
    suite=Suite("bookworm", S390X),
    sources=_SOURCES_6_12,
    config="s390x.config",
    linux="s390",
    image="bzImage",
    cross="s390x-linux-gnu-",
)
#: Debian has none with pages of 64 KiB. kexec -c (2.0.25) does not load it.
AARCH64_6_12_64K = Own(
    suite=Suite("bookworm", replace(AARCH64_LPA2, kexec=("-s",))),
    sources=_SOURCES_6_12,
    config="aarch64-64k.config",
    linux="arm64",
    image="Image",
    cross="aarch64-linux-gnu-",
)


def built(own: Own) -> Kernel:
    """Return the kernel, built if it is not in the cache (some minutes of two processors).

    Raises NoPackages, KdumpInitrdError.
    """
    root = cache() / own.name
    with making(root) as missing:
        if missing:
            with making(own.suite.lock):
                own.suite.update()
                fresh = own.suite.unpack(root, *USERLAND)
            _build(own, fresh)
            fresh.rename(root)
    return newest(root, own.suite.architecture)


def _build(own: Own, root: Path) -> None:
    suite, package = own.sources
    archive = suite.packages(package) / f"usr/src/{package}.tar.xz"
    scratch = root.with_suffix(".build")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    run(["tar", "-C", scratch, "-xf", archive], timeout=600)
    source = scratch / package
    words = ["make", "-C", str(source), f"ARCH={own.linux}", f"CROSS_COMPILE={own.cross}"]
    words += [f"-j{os.cpu_count()}"]
    run([*words, "allnoconfig"], timeout=300)
    with (source / ".config").open("a") as config:
        config.write(own.options)
    run([*words, "olddefconfig"], timeout=300)
    run([*words, own.image, "modules"], timeout=7200)
    run([*words, f"INSTALL_MOD_PATH={root}", "modules_install"], timeout=600)
    release = (source / "include/config/kernel.release").read_text().strip()
    (root / "boot").mkdir(exist_ok=True)
    shutil.copy(source / f"arch/{own.linux}/boot/{own.image}", root / f"boot/vmlinuz-{release}")
    shutil.copy(source / ".config", root / f"boot/config-{release}")
    shutil.rmtree(scratch)
