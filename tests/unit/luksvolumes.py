# SPDX-License-Identifier: GPL-2.0-or-later
"""LUKS volumes in files, made by cryptsetup itself, and a host that has them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.core.run import run
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.probe.host.mounts import Mount
from kdump_initrd.probe.host.sysfs import Hardware

PASSPHRASE = b"correct horse battery staple"
SIZE = 24 << 20
#: How cheap a slot with the installer's kind of derivation can be.
_ARGON2 = ["--pbkdf", "argon2id", "--pbkdf-memory", "32", "--pbkdf-force-iterations", "4"]
_PBKDF2 = ["--pbkdf-force-iterations", "1000"]


def make(path: Path, version: int = 2) -> Path:
    """Make a volume that PASSPHRASE opens."""
    with path.open("wb") as out:
        out.truncate(SIZE)
    how = _ARGON2 if version == 2 else _PBKDF2
    argv = ["cryptsetup", "luksFormat", "--batch-mode", "--type", f"luks{version}", *how]
    run([*argv, "--key-file", "-", path], timeout=60, stdin=PASSPHRASE)
    return path


def uuid_of(path: Path) -> str:
    """Return its UUID, as cryptsetup prints it."""
    return run(["cryptsetup", "luksUUID", path], timeout=30).stdout.decode().strip()


def opens(path: Path, key: bytes) -> bool:
    """Tell whether a passphrase or key opens any slot."""
    argv = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", str(path)]
    return run(argv, timeout=60, check=False, stdin=key).status == 0


def slots(path: Path) -> list[dict[str, object]]:
    """Return the slots of a LUKS2 volume, as cryptsetup prints them."""
    text = run(["cryptsetup", "luksDump", "--dump-json-metadata", path], timeout=30).stdout
    return [*json.loads(text)["keyslots"].values()]


def volume_key(path: Path, key: bytes) -> bytes:
    """Return the volume's key, as cryptsetup prints it."""
    argv = ["cryptsetup", "luksDump", "--batch-mode", "--dump-volume-key", "--key-file", "-"]
    text = run([*argv, path], timeout=60, stdin=key).stdout.decode()
    return bytes.fromhex("".join(text.partition("MK dump:")[2].split()))


@dataclass
class LuksHost(HostFacts):
    """A host whose root lies on ``hardware``; ``nodes`` are its devices by their tags."""

    hardware_of: Mapping[Path, Hardware] = field(default_factory=dict)
    nodes: Mapping[str, Path] = field(default_factory=dict)

    def mounted(self, path: str) -> Mount | None:
        return Mount("/dev/mapper/vg-root", PurePosixPath("/"), "ext4", ("rw",))

    def hardware(self, node: Path) -> Hardware | None:
        return self.hardware_of.get(node)

    def node_of(self, spec: str) -> Path | None:
        return self.nodes.get(spec)

    def opened_as(self, node: Path) -> str:
        return ""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A volume of each version."""
    folder = tmp_path_factory.mktemp("luks")
    return {version: make(folder / f"luks{version}", version) for version in (1, 2)}


def copy_of(made: Mapping[int, Path], version: int, folder: Path) -> Path:
    """Return a copy that a test may change."""
    return Path(shutil.copyfile(made[version], folder / f"volume{version}"))
