# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run has proven of a port: a record of each proof, in the build folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import Enum

from tests.vm.kernels import Kernel
from tests.vm.scenario import BUILD

#: A file for each proof.
FOLDER = BUILD.parent / "ports"


class Proof(str, Enum):
    """What was done: a whole cycle up to the restart, or a comparison of a vmcore's pages."""

    CYCLE = "cycle"
    PAGES = "pages"


@dataclass(frozen=True)
class Record:
    """What was proven of a port, and how.

    ``architecture`` is what uname -m says there, ``kernel`` its release, ``page`` the bytes of a
    page; ``load`` is the system call that loaded the capture kernel, "" where none was needed;
    ``level`` is the dump's level, and ``reader`` is who read the dump, or whose pages its own were
    compared with.
    """

    port: str
    architecture: str
    kernel: str
    page: int
    proof: Proof
    load: str
    level: int
    reader: str

    def write(self) -> None:
        """Keep it, in the place of what an earlier run has proven likewise."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        level = f"-{self.level}" if self.proof is Proof.PAGES else ""
        path = FOLDER / f"{self.port}-{self.proof.value}{level}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read(port: str) -> list[Record]:
    """Return the records of a port, the cycle's first, then by level."""
    found = []
    for path in FOLDER.glob("*.json"):
        facts = json.loads(path.read_text())
        record = Record(**{**facts, "proof": Proof(facts["proof"])})
        if record.port == port:
            found.append(record)
    return sorted(found, key=lambda each: (each.proof.value, each.level))


def load_of(kernel: Kernel) -> str:
    """Return the system call that loads a capture kernel there, by the kernel's configuration."""
    for config in (kernel.modules / "config", kernel.root / f"boot/config-{kernel.release}"):
        if config.exists():
            by_file = "CONFIG_KEXEC_FILE=y" in config.read_text().splitlines()
            return "kexec_file_load" if by_file else "kexec_load"
    raise FileNotFoundError(f"{kernel.root}: no configuration of {kernel.release}")
