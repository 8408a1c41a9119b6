# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems with parts on other devices: the image waits for these, too, and names them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from .captureimage import build, unpack
from .loadinghooks import Loading
from .shells import REPO, SHELLS
from .wholeimages import RootBoot


class Parts(Loading):
    """Devices whose first bytes are files beside them, and the scripts of file systems."""

    FUNCTIONS = (
        f'{Loading.FUNCTIONS}; timeout() {{ shift 3; "$@"; }}; '
        'od() { /usr/bin/od "$1" "$2" "$3" "$4" "$5" "$6.start"; }'
    )

    def __init__(self, boot: RootBoot) -> None:
        super().__init__(boot)
        for path in (REPO / "hooks/filesystems").iterdir():
            boot.write(f"lib/{path.name}", boot.moved(path.read_text()))

    def disk(self, name: str, start: bytes = b"") -> str:
        """Make a device with these bytes at its start."""
        self.boot.write(f"sys/class/block/{name}/size", "8")
        node = self.boot.device(name)
        Path(f"{node}.start").write_bytes(start)
        return node

    def state(self, name: str) -> str:
        """Return a file of the hooks' state."""
        path = self.boot.top / "run" / name
        return path.read_text() if path.exists() else ""


@pytest.fixture(params=SHELLS, ids=" ".join)
def parts(request: pytest.FixtureRequest, tmp_path: Path) -> Parts:
    return Parts(RootBoot(tmp_path, request.param))


def btrfs(*, number: int, of: int, fsid: bytes = b"0123456789abcdef") -> bytes:
    """Return the start of a device of a btrfs."""
    start = bytearray(0x11000)
    fields: dict[int, bytes] = {
        0x20: fsid, 0x40: b"_BHRfS_M", 0x88: struct.pack("<Q", of), 0xC9: struct.pack("<Q", number)
    }  # fmt: skip
    for offset, value in fields.items():
        start[0x10000 + offset : 0x10000 + offset + len(value)] = value
    return bytes(start)


def test_a_btrfs_on_one_device(parts: Parts) -> None:
    node = parts.disk("vda", btrfs(number=1, of=1))
    parts.disk("vdb", btrfs(number=2, of=2, fsid=b"another-btrfs-fs"))
    done = parts.hook("50-wait-device", node, fstype="btrfs", options="subvol=/@")
    assert (done.status, done.log) == (0, [])
    assert parts.state("options") == "subvol=/@\n"


def test_all_devices_of_a_btrfs_are_named(parts: Parts) -> None:
    nodes = [parts.disk(f"vd{name}", btrfs(number=n, of=2)) for n, name in enumerate("ab", 1)]
    parts.disk("vdc", btrfs(number=2, of=2, fsid=b"another-btrfs-fs"))
    parts.disk("vdd", bytes(0x11000))
    parts.disk("vde")
    done = parts.hook("50-wait-device", nodes[1], fstype="btrfs", options="subvolid=257")
    assert (done.status, done.log) == (0, [])
    assert parts.state("options") == f"subvolid=257,device={nodes[0]},device={nodes[1]}\n"


def test_a_btrfs_whose_disk_is_missing(parts: Parts) -> None:
    node = parts.disk("vda", btrfs(number=2, of=300))
    done = parts.hook("50-wait-device", node, fstype="btrfs")
    assert done.status == 0
    assert parts.state("options") == f"device={node},degraded\n"
    line = f"a device of {node} (1 of 300 are there) did not appear: it is mounted without it"
    assert parts.state("remarks") == f"{line} (degraded)\n"
    assert len([call for call in done.log if "did not appear" in call]) == 1


def test_half_of_a_mirror_is_not_a_device_of_a_btrfs(parts: Parts) -> None:
    node = parts.disk("md0", btrfs(number=1, of=2))
    other = parts.disk("vdz", btrfs(number=2, of=2))
    for name in ("vda", "vdb"):
        parts.disk(name, btrfs(number=1, of=2))
        parts.boot.write(f"sys/class/block/{name}/holders/md0", "")
    parts.disk("vdc", btrfs(number=1, of=2))  # a copy, or the other path to it
    assert parts.hook("50-wait-device", node, fstype="btrfs").status == 0
    assert parts.state("options") == f"device={node},device={other}\n"


def test_the_log_of_an_xfs_is_waited_for(parts: Parts) -> None:
    node, log, realtime = (parts.disk(name) for name in ("vda", "vdb", "vdc"))
    parts.boot.program("findfs", f'[ "$1" = PARTUUID=1-01 ] && echo {log}')
    options = f"logdev=PARTUUID=1-01,rtdev={realtime},x"
    done = parts.hook("50-wait-device", node, fstype="xfs", options=options)
    assert (done.status, parts.state("options")) == (0, f"logdev={log},rtdev={realtime},x\n")


def test_an_xfs_without_its_log(parts: Parts) -> None:
    node = parts.disk("vda")
    done = parts.hook("50-wait-device", node, fstype="xfs", options="logdev=/dev/none")
    assert done.status == 1
    assert done.log[-1] == "<3>kdump-initrd: /dev/vda's logdev=/dev/none did not appear in 15 s"
    assert parts.state("device") == ""


def test_only_an_image_of_such_a_file_system_has_the_script(tmp_path: Path) -> None:
    for fstype, wanted in {"ext4": set(), "xfs": set(), "btrfs": {"btrfs.sh"}}.items():
        tree = unpack(build(tmp_path / fstype, "-f", fstype), tmp_path / f"{fstype}.tree")
        scripts = {path.name for path in (tree / "usr/lib/kdump-initrd").glob("*.sh")}
        assert scripts & {"btrfs.sh", "xfs.sh"} == wanted
        assert (tree / "usr/sbin/od").exists() is bool(wanted)
