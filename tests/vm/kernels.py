# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels to crash: the host's own, and Debian's later ones fetched into a cache by apt."""

from __future__ import annotations

import fcntl
import lzma
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.run import run


class NoKernel(Exception):
    """No kernel to test with; the text says where one was looked for."""


@dataclass(frozen=True)
class Kernel:
    """A kernel release, its image, and the root whose modules folder belongs to it."""

    release: str
    image: Path
    root: Path = Path("/")

    @property
    def modules(self) -> Path:
        """The folder of the kernel's modules, with the root in front."""
        usr = self.root / "usr/lib/modules" / self.release
        return usr if usr.is_dir() else self.root / "lib/modules" / self.release

    def load_order(self, *names: str) -> dict[str, bytes]:
        """Return modules and those they need, in the order to load them: NAME.ko → contents."""
        found: dict[str, bytes] = {}
        for name in names:
            argv = ["modprobe", "-D", "-S", self.release, "-d", str(self.modules.parents[2]), name]
            for line in run(argv, timeout=30).stdout.decode().splitlines():
                verb, _, rest = line.strip().partition(" ")
                if verb == "insmod":
                    path = Path(rest.split()[0])
                    data = path.read_bytes()
                    plain = lzma.decompress(data) if path.suffix == ".xz" else data
                    found.setdefault(path.name.partition(".")[0] + ".ko", plain)
        return found


def _version_key(release: str) -> list[tuple[int, str]]:
    words = re.findall(r"\d+|\D+", release)
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


def newest(root: Path = Path("/")) -> Kernel:
    """Return the kernel of KDUMP_TEST_KERNEL (a release), or the newest one in boot.

    Raises NoKernel with the list of what was looked for.
    """
    wanted = os.environ.get("KDUMP_TEST_KERNEL") if root == Path("/") else None
    images = {path.name.partition("-")[2]: path for path in (root / "boot").glob("vmlinu[xz]-*")}
    if wanted is not None and wanted not in images:
        raise NoKernel(f"KDUMP_TEST_KERNEL={wanted}: not among {sorted(images)} of {root / 'boot'}")
    if not images:
        raise NoKernel(f"no kernel to test with: {root / 'boot'} has no vmlinuz-* or vmlinux-*")
    release = wanted or max(images, key=_version_key)
    kernel = Kernel(release, images[release], root)
    if not kernel.modules.is_dir():
        raise NoKernel(f"{kernel.image}: its modules are not in {kernel.modules}")
    return kernel


def cache() -> Path:
    """Return the folder for fetched kernels: KDUMP_TEST_CACHE, or one in ~/.cache."""
    given = os.environ.get("KDUMP_TEST_CACHE")
    return Path(given) if given else Path.home() / ".cache/kdump-initrd"


@contextmanager
def making(target: Path) -> Iterator[bool]:
    """Yield whether ``target`` is still to be made; nobody else makes it at the same time.

    A maker makes it beside its place, and renames it.
    """
    if target.exists():
        yield False
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not target.exists()


def mirror() -> str:
    """Return the address of the Debian mirror that the host uses; raises NoKernel."""
    wanted = "$(REPO_URI)|$(COMPONENT)|$(ORIGIN)|$(LABEL)"
    targets = run(
        ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"], timeout=60
    ).stdout.decode()
    for line in targets.splitlines():
        uri, component, origin, label = line.split("|")
        if (component, origin, label) == ("main", "Debian", "Debian"):
            return uri
    raise NoKernel("apt names no Debian mirror on this host: run apt-get update")


def _apt(home: Path, suite: str) -> list[str]:
    # Options that give apt a state of its own: the host's is neither read nor changed.
    (home / "state/lists/partial").mkdir(parents=True, exist_ok=True)
    (home / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    (home / "sources.list").write_text(f"deb {mirror()} {suite} main\n")
    settings = {
        "Dir::State": home / "state",
        "Dir::State::status": home / "status",
        "Dir::Cache": home / "cache",
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "APT::Install-Recommends": "false",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def fetched(suite: str, pattern: str) -> Kernel:
    """Return the newest kernel of a Debian suite, in a root of that suite below cache()/SUITE.

    ``pattern`` is a regular expression for the names of its packages. The root has what a
    capture image takes from one, too; it is fetched only if it is not there yet. Raises
    NoKernel or KdumpInitrdError.
    """
    root = cache() / suite
    with making(root) as missing, making(_home(suite) / "fetched"):
        if missing:
            _fetch(suite, pattern, root)
    return newest(root)


def _fetch(suite: str, pattern: str, root: Path) -> None:
    options = _update(suite)
    names = run(["apt-cache", *options, "pkgnames", "linux-"], timeout=60).stdout.decode().split()
    names = [name for name in names if re.fullmatch(pattern, name)]
    if not names:
        raise NoKernel(f"Debian {suite} has no package {pattern}")
    fresh = _unpack(suite, root.name, [max(names, key=_version_key), *_USERLAND])
    kernel = newest(fresh)
    run(["depmod", "-b", kernel.modules.parents[2], kernel.release], timeout=120)
    fresh.rename(root)


def _home(suite: str) -> Path:
    # apt's own state for a suite; its lock is that of a file in it that is never there.
    return cache() / f"{suite}.apt"


def packages(suite: str, *wanted: str) -> Path:
    """Return a root of a Debian suite with these packages and what they depend on.

    It is below cache(), named after the first package, and fetched if it is not there yet.
    Nothing is configured. Raises NoKernel without a mirror, or KdumpInitrdError.
    """
    root = cache() / f"{suite}-{wanted[0]}"
    with making(root) as missing, making(_home(suite) / "fetched"):
        if missing:
            _update(suite)
            _unpack(suite, root.name, wanted).rename(root)
    return root


def _update(suite: str) -> list[str]:
    # apt's options for the suite, after it has read what there is.
    options = _apt(_home(suite), suite)
    run(["apt-get", *options, "update"], timeout=300)
    return options


def _unpack(suite: str, name: str, wanted: Sequence[str]) -> Path:
    # The new root has another name, so that half a root is never used.
    home = _home(suite)
    options = _apt(home, suite)
    run(["apt-get", *options, "-y", "--download-only", "install", *wanted], timeout=900)
    fresh = cache() / f"{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    archives = list((home / "cache/archives").glob("*.deb"))
    # base-files has the links from /lib to /usr/lib and the like: it goes first.
    for package in sorted(archives, key=lambda path: (path.name[:11] != "base-files_", path)):
        run(["dpkg-deb", "-x", package, fresh], timeout=300)
        package.unlink()
    return fresh


#: What a capture image takes from its root, beside the kernel.
_USERLAND = ("base-files", "busybox-static", "dash", "liblzo2-2", "python3", "util-linux")
#: Debian 13's signed kernel of one ABI: linux-image-6.12.N+deb13-amd64.
TRIXIE = ("trixie", r"linux-image-6\.12\.[^-]*-amd64")


def main() -> int:
    """Fetch Debian 13's kernel and print its root and release."""
    try:
        kernel = fetched(*TRIXIE)
    except (NoKernel, KdumpInitrdError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(kernel.root, kernel.release)
    return 0


if __name__ == "__main__":
    sys.exit(main())
