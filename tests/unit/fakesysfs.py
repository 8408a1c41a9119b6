# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder that is laid out as sysfs."""

from __future__ import annotations

import os
from pathlib import Path

NVME = "devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0"
SATA = "devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0"


class FakeSysfs:
    """Builds what the walk reads: folders, attributes and links as the kernel lays them."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def write(self, path: str, text: str = "") -> None:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def link(self, path: str, target: str) -> None:
        (self.top / target).mkdir(parents=True, exist_ok=True)
        (self.top / path).parent.mkdir(parents=True, exist_ok=True)
        above = (self.top / path).parent
        (self.top / path).symlink_to(os.path.relpath(self.top / target, above))

    def disk(self, path: str, *partitions: str) -> None:
        disk = Path(path).name
        self.link(f"class/block/{disk}", path)
        for name in partitions:
            self.write(f"{path}/{name}/partition", "1")
            self.link(f"class/block/{name}", f"{path}/{name}")

    def device(self, path: str, alias: str, driver: str) -> None:
        self.write(f"{path}/modalias", alias)
        self.link(f"{path}/driver", f"bus/x/drivers/{driver}")
        if not (self.top / f"bus/x/drivers/{driver}/module").exists():
            self.link(f"bus/x/drivers/{driver}/module", f"module/{driver.replace('-', '_')}")
