# SPDX-License-Identifier: GPL-2.0-or-later
"""A root with kernels, their initrds and all that images are made of, to be kept current."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core import log
from kdump_initrd.core.root import Root
from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.probe.programs import closure
from kdump_initrd.upkeep import renewal

from .initrdwriter import bzimage, write_base
from .thiskernel import RELEASE
from .wholeimages import UUID, make_root

#: A second kernel, newer than this machine's.
NEWER = "99.9.0-newer"
#: Packing is what takes longest.
CONFIGURATION = f"""\
[capture]
device = "{UUID}"
fstype = "ext4"
[image]
hardware = "virtio"
compress = "none"
"""
#: What the saver never imports, and other people's modules.
_LEFT_OUT = shutil.ignore_patterns(
    *("test", "__pycache__", "*-packages", "idlelib", "lib2to3", "config-*", "asyncio", "email"),
    *("distutils", "html", "http", "multiprocessing", "unittest", "tkinter", "xml", "xmlrpc"),
)
#: Kernel modules that no image here wants: most of them.
_UNWANTED = ("net", "sound", "security", "virt", "mm")


def make(root: Path) -> Path:
    """Make a root with one kernel, as make_root() has it, Python, and a configuration."""
    root.mkdir()
    make_root(root)
    for name in _UNWANTED:
        shutil.rmtree(root / f"lib/modules/{RELEASE}/kernel/{name}", ignore_errors=True)
    for folder in (root / f"lib/modules/{RELEASE}/kernel/drivers").iterdir():
        if folder.name not in ("ata", "block", "nvme", "scsi", "virtio"):
            shutil.rmtree(folder)
    python = Path("/usr/bin/python3").resolve()
    for source in (python, *python.parent.glob("gzip"), *_codecs()):
        place(root, source)
    (root / "usr/bin/python3").symlink_to(python.name)
    stdlib = Path(os.__file__).parent if Path(os.__file__).is_relative_to("/usr") else None
    stdlib = stdlib or Path("/usr/lib") / python.name
    shutil.copytree(
        stdlib, root / f"usr/lib/{python.name}", copy_function=os.link, ignore=_LEFT_OUT
    )
    dynload = (root / f"usr/lib/{python.name}/lib-dynload").glob("*.so")
    for library in closure.closure([python, *dynload], root=Root()).libraries:
        if not library.source.is_relative_to(root):
            place(root, library.source, root / library.dest)
    (root / "etc/kdump-initrd.toml").write_text(CONFIGURATION)
    (root / "etc/ld.so.conf").write_text("")
    add_files_of_kernel(root, RELEASE)
    return root


def _codecs() -> list[Path]:
    return sorted(Path("/usr/lib/x86_64-linux-gnu").glob("liblzo2.so.2"))


def place(root: Path, source: Path, dest: Path | None = None) -> None:
    """Copy a file of this machine to the same place in the root."""
    dest = dest or root / source.relative_to("/")
    dest.parent.mkdir(parents=True, exist_ok=True)
    if not dest.exists():
        shutil.copy(source, dest)


def add_files_of_kernel(root: Path, release: str) -> None:
    """Add a kernel's image, its configuration and the distribution's initrd."""
    (root / f"boot/vmlinuz-{release}").write_bytes(bzimage(release))
    if release != RELEASE:
        shutil.copy(root / f"boot/config-{RELEASE}", root / f"boot/config-{release}")
    write_base(root / f"boot/initrd.img-{release}")


@dataclass(frozen=True)
class Host:
    """A root whose images are kept, and what is said about that."""

    root: Path

    @property
    def capture(self) -> Path:
        """The capture initrd of this machine's kernel."""
        return self.root / f"boot/initrd.img-{RELEASE}-kdump"

    @property
    def base(self) -> Path:
        """The distribution's initrd of it."""
        return self.root / f"boot/initrd.img-{RELEASE}"

    def add_kernel(self, release: str = NEWER) -> None:
        """Install another kernel."""
        modules = self.root / "lib/modules"

        def copy(source: str, dest: str) -> None:
            """Copy a file; a module says what kernel it is of."""
            if not source.endswith(".ko"):
                os.link(source, dest)
                return
            old = f"vermagic={RELEASE} "
            new = f"vermagic={release} ".ljust(len(old))
            data = Path(source).read_bytes()
            Path(dest).write_bytes(data.replace(old.encode(), new.encode()))

        shutil.copytree(modules / RELEASE, modules / release, symlinks=True, copy_function=copy)
        add_files_of_kernel(self.root, release)

    def write(self, name: str, text: str | bytes) -> None:
        """Write a file anew: the old one may be a hard link to this machine's own."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def run(self, *releases: str, force: bool = False, dry_run: bool = False) -> int:
        """Keep the images current."""
        return renewal.run(self.root, releases=releases, distro=None, force=force, dry_run=dry_run)

    def remove(self, *releases: str) -> int:
        """Remove images."""
        return renewal.remove(self.root, releases=releases, distro=None)

    def files(self) -> dict[str, tuple[int, int]]:
        """Return inode and time of all that --refresh may write."""
        folders = (self.root / "boot", self.root / "var")
        paths = [path for folder in folders for path in folder.rglob("*")]
        return {
            str(path.relative_to(self.root)): (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in paths
        }


class Lines(logging.Handler):
    """What is logged at least at INFO, a line each, without the root."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage().replace(f"{self.root}/", ""))

    def take(self) -> list[str]:
        """Return the lines, and forget them."""
        lines, self.lines = self.lines, []
        return [line for line in lines if "not on this host" not in line]


@contextmanager
def hearing(host: Host) -> Iterator[Lines]:
    """Yield what is said meanwhile, at the level of the command line's default."""
    log.set_up(logging.INFO)
    logger = logging.getLogger("kdump-initrd")
    handler = Lines(host.root)
    logger.handlers[:] = [handler]
    yield handler
    logger.handlers.clear()


def kind_of(image: Path) -> str:
    """Return what an image of ours is, "" for any other."""
    manifest = read_manifest(image)
    return manifest.kind if manifest else ""
