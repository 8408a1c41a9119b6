# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Debian's suites, for any architecture: fetched by apt, unpacked, never run."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.run import run

from .architectures import X86_64, Architecture
from .cached import cache, making


class NoPackages(KdumpInitrdError):
    """Debian's mirror does not have what is wanted; the text says what."""


def mirror() -> str:
    """Return the address of the Debian mirror that the host uses; raises NoPackages."""
    wanted = "$(REPO_URI)|$(COMPONENT)|$(ORIGIN)|$(LABEL)"
    targets = run(
        ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"], timeout=60
    ).stdout.decode()
    for line in targets.splitlines():
        uri, component, origin, label = line.split("|")
        if (component, origin, label) == ("main", "Debian", "Debian"):
            return uri
    raise NoPackages("apt names no Debian mirror on this host: run apt-get update")


def version_key(name: str) -> list[tuple[int, str]]:
    """Return what names with versions are sorted by."""
    words = re.findall(r"\d+|\D+", name)
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


@dataclass(frozen=True)
class Suite:
    """One of Debian's suites, for one architecture."""

    name: str
    architecture: Architecture = X86_64

    def __str__(self) -> str:
        return f"Debian {self.name} for {self.architecture.debian}"

    @property
    def place(self) -> str:
        """What folders of it are called in the cache."""
        foreign = self.architecture is not X86_64
        return f"{self.name}-{self.architecture.debian}" if foreign else self.name

    @property
    def lock(self) -> Path:
        """What is never there: only its lock is wanted, by who has apt at work for the suite."""
        return self._home / "fetched"

    def packages(self, *wanted: str) -> Path:
        """Return a root with these packages and what they depend on, named after the first.

        It is fetched if it is not in the cache yet. Raises NoPackages.
        """
        root = cache() / f"{self.place}-{wanted[0]}"
        with making(root) as missing, making(self.lock):
            if missing:
                self.update()
                self.unpack(root, *wanted).rename(root)
        return root

    def update(self) -> None:
        """Let apt read what there is; raises NoPackages."""
        self._apt("apt-get", "update", timeout=300)

    def newest(self, pattern: str) -> str:
        """Return the newest of the packages of Linux whose name fits; raises NoPackages."""
        names = self._apt("apt-cache", "pkgnames", "linux-", timeout=60).split()
        fitting = [name for name in names if re.fullmatch(pattern, name)]
        if not fitting:
            raise NoPackages(f"{self} has no package {pattern}")
        return max(fitting, key=version_key)

    def unpack(self, root: Path, *wanted: str) -> Path:
        """Return a folder beside ``root`` with these packages and what they depend on.

        Its name is another, so that half a root is never used. Nothing is configured, and nothing
        of it is run. Raises NoPackages.
        """
        folder = self._home / "cache/archives"
        for other in folder.glob("*.deb"):  # of what failed
            other.unlink()
        self._apt("apt-get", "install", *wanted, timeout=900)
        fresh = root.with_name(f"{root.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        archives = list(folder.glob("*.deb"))
        # base-files has the links from /lib to /usr/lib and the like: it goes first.
        for package in sorted(archives, key=lambda path: (path.name[:11] != "base-files_", path)):
            run(["dpkg-deb", "-x", package, fresh], timeout=300)
            package.unlink()
        return fresh

    @property
    def _home(self) -> Path:
        return cache() / f"{self.place}.apt"

    def _apt(self, program: str, *words: str, timeout: float) -> str:
        done = run([program, *self._options(), *words], timeout=timeout, check=False)
        if done.status != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("E: ")]
            why = (errors or done.stderr.splitlines() or [f"status {done.status}"])[0]
            what = " ".join(words[1:] or words)
            raise NoPackages(f"{self}: {what}: {why.removeprefix('E: ')}")
        return done.stdout.decode()

    def _options(self) -> list[str]:
        # They give apt a state of its own: the host's is neither read nor changed.
        home = self._home
        (home / "state/lists/partial").mkdir(parents=True, exist_ok=True)
        (home / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        (home / "status").touch()
        (home / "sources.list").write_text(f"deb {mirror()} {self.name} main\n")
        settings = {
            "APT::Architecture": self.architecture.debian,
            "APT::Architectures": self.architecture.debian,
            "Dir::State": home / "state",
            "Dir::State::status": home / "status",
            "Dir::Cache": home / "cache",
            "Dir::Etc::sourcelist": home / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "APT::Install-Recommends": "false",
            "APT::Get::Assume-Yes": "true",
            "APT::Get::Download-Only": "true",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
