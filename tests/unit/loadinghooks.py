# SPDX-License-Identifier: GPL-2.0-or-later
"""The hooks of a capture image that load drivers and wait for the device, run in a folder."""

from __future__ import annotations

from .shells import REPO
from .wholeimages import Outcome, RootBoot

ETC = "etc/kdump-initrd"


class Loading:
    """A folder with two of the hooks: one driver waits for a PCI device, one for none."""

    TABLES = """
        drivers='bus disk silent'
        load_drivers() {
            load_if "$1" bus 'pci:v1*'
            load_if "$1" disk 'virtio:d2*'
        }
        insmod() {
            echo "insmod $*" >>calls
            case $1 in
            */bus.ko)
                mkdir -p sys/bus/virtio/devices/0
                echo virtio:d2 >sys/bus/virtio/devices/0/modalias
                ;;
            */odd.ko) echo "insmod: can't insert 'odd.ko': unknown symbol in module"; return 1 ;;
            */old.ko) echo "insmod: can't insert 'old.ko': No such device"; return 1 ;;
            */last.ko) : >appeared ;;
            esac
        }
        uptime() { seconds=$((${seconds:-0} + 1)); }
        sleep() { :; }
    """

    #: Programs of the machine that runs the hooks.
    FUNCTIONS = "insmod() { :; }"

    def __init__(self, boot: RootBoot) -> None:
        self.boot = boot
        for name in ("functions.sh", "kernelline.sh", "modules.sh", "plug.sh"):
            boot.write(f"lib/{name}", boot.moved((REPO / "hooks" / name).read_text()))
        boot.write("lib/drivers.sh", self.TABLES)
        tables = {"bus": "ring bus", "disk": "ring odd disk", "silent": "old last", "fs": "ext4"}
        for name in " ".join(tables.values()).split():
            boot.write(f"{name}.ko", name)
        for name in ("bus", "disk", "silent"):
            self.list(f"on-demand/{name}", *tables[name].split())
        self.list("modules", "ring", "ext4")

    def list(self, name: str, *modules: str) -> None:
        """Write a list of modules."""
        lines = "".join(f"{self.boot.top}/{module}.ko a=1 b=2\n" for module in modules)
        self.boot.write(f"{ETC}/{name}", lines)

    def hook(
        self, name: str, device: str = "/dev/none", *, fstype: str = "ext4", options: str = ""
    ) -> Outcome:
        """Run a hook for a device that is mounted so."""
        text = self.boot.moved((REPO / "hooks/pre-mount" / name).read_text())
        top = self.boot.top
        env = f"KDUMP_LIB={top}/lib KDUMP_ETC={top}/{ETC} KDUMP_RUN={top}/run KDUMP_STARTED=0"
        env += f" KDUMP_SETUP_TIMEOUT=20 KDUMP_TARGET=0 KDUMP_DEVICE={device} KDUMP_FSTYPE={fstype}"
        env += f" KDUMP_MOUNT_OPTIONS={options}; {self.FUNCTIONS}"
        return self.boot.run(f"{env}\n{text}")

    def left(self) -> set[str]:
        """Return the modules whose files still take memory."""
        return {path.stem for path in self.boot.top.glob("*.ko") if path.stat().st_size}
