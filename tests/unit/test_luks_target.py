# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps to LUKS volumes: what the capture kernel is given, and what is said of that before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.image.tree import Tree
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.probe.host.mappings import Encrypted
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.targets import encryption
from kdump_initrd.upkeep.loading import loadedfile, lockedmemory
from kdump_initrd.upkeep.ready import chain, unlockable
from kdump_initrd.upkeep.ready.finding import ERROR, FINE
from kdump_initrd.upkeep.ready.link import NO, YES
from kdump_initrd.upkeep.ready.view import View
from kdump_initrd.upkeep.unlocking import cryptsetup, slotkey, volumekeys

from . import loadhost, machines
from .fakesysfs import FakeSysfs
from .initrdwriter import pipe
from .luksvolumes import PASSPHRASE, SIZE, LuksHost, copy_of, made, uuid_of, volume_key
from .machines import DISK, NUMBER
from .refreshroots import Host

__all__ = ["made"]

REPO = Path(__file__).parents[2]
PLACE = "etc/kdump-initrd/luks"


def enrolled(made: dict[int, Path], version: int, folder: Path, root: Path) -> Path:
    """Return a volume whose key the root has."""
    volume = copy_of(made, version, folder)
    key = slotkey.make(uuid_of(volume), Root(root))
    cryptsetup.add(volume, key, PASSPHRASE)
    return volume


@pytest.mark.parametrize("version", [1, 2])
def test_the_table_opens_the_volume(
    made: dict[int, Path], version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what cryptsetup itself would give to device-mapper; a key is in nobody's words."""
    volume = enrolled(made, version, tmp_path, tmp_path / "root")
    uuid = uuid_of(volume)
    host = LuksHost(nodes={f"UUID={uuid}": volume})
    monkeypatch.setattr(volumekeys, "HostFacts", lambda: host)
    monkeypatch.setattr(lockedmemory, "lock", lambda: None)
    tree = Tree()
    volumekeys.add(tree, Root(tmp_path / "root"))
    (entry,) = (each for each in tree if each.content)
    assert (str(entry.dest), entry.mode) == (f"{PLACE}/{uuid}", 0o600)
    offset = {1: 4096, 2: 32768}[version]
    size = SIZE // 512 - offset
    key = volume_key(volume, PASSPHRASE).hex()
    more = {1: "", 2: " 1 sector_size:4096"}[version]
    assert entry.content.decode() == (
        f"luks-{uuid}\n0 {size} crypt aes-xts-plain64 {key} 0\n{offset}{more}\n"
    )


def test_a_volume_that_cannot_be_opened_is_a_warning(
    made: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """What is gone, and what has lost our slot; neither keeps a dump from going elsewhere."""
    root = Root(tmp_path / "root")
    volume = copy_of(made, 2, tmp_path)
    lost, gone = uuid_of(volume), "00000000-0000-0000-0000-000000000000"
    for uuid in (lost, gone):
        slotkey.make(uuid, root)
    host = LuksHost(nodes={f"UUID={lost}": volume})
    monkeypatch.setattr(volumekeys, "HostFacts", lambda: host)
    monkeypatch.setattr(lockedmemory, "lock", lambda: None)
    tree = Tree()
    volumekeys.add(tree, root)
    assert not len(tree)
    assert sorted(caplog.messages) == sorted([
        f"{gone}: there is a key for it, and no such LUKS volume: no crash can be saved to that "
        "volume",
        f"{volume}: the key in {slotkey.place(lost, root)} opens no key slot: no crash can be "
        "saved to that volume",
    ])  # fmt: skip


def test_secrets_are_wiped() -> None:
    secrets = b"".join([b"abc", b"def"]), bytearray(b"ghi")
    lockedmemory.wipe(*secrets)
    assert secrets == (bytes(6), bytearray(3))


#: Loads on such a host, in a process of its own: it locks its memory.
_LOAD = """
import sys
from pathlib import Path
from kdump_initrd.probe.host.hostfacts import HostFacts
from tests.unit.loadhost import LoadHost
HostFacts.node_of = lambda self, spec: Path(sys.argv[2])
print(LoadHost(Path(sys.argv[1])).load().text)
"""


def test_load_hands_the_key_over(made: dict[int, Path], tmp_path: Path) -> None:
    """In memory only; what the first kernel's initrd has loaded without it is replaced."""
    host = loadhost.make(tmp_path / "root")
    volume = enrolled(made, 2, tmp_path, host.root)
    said = []
    for _ in range(2):
        argv = [sys.executable, "-c", _LOAD, str(host.root), str(volume)]
        done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, timeout=120)
        assert (done.stderr, done.returncode) == ("", 0)
        said.append(done.stdout.partition(":")[0])
    assert said == ["loaded", "already loaded"]
    (call,) = host.calls
    assert "memfd" in str(call["where"])
    image = (host.root / f"boot/initrd.img-{loadhost.RELEASE}-kdump").read_bytes()
    rest = bytes.fromhex(str(call["initrd"]))[len(image) :].lstrip(b"\0")
    uuid = uuid_of(volume)
    assert f"{PLACE}/{uuid}" in pipe(["cpio", "-t", "--quiet"], rest).decode().split()
    key = volume_key(volume, PASSPHRASE).hex().encode()
    assert key in rest
    (host.root / "calls").unlink()
    slot = slotkey.place(uuid, Root(host.root))
    secrets = {
        key,
        bytes.fromhex(key.decode()),
        slot.read_bytes(),
        slot.read_bytes().hex().encode(),
    }
    for path in tmp_path.rglob("*"):
        if path.is_file() and path not in (volume, slot):
            assert not [each for each in secrets if each in path.read_bytes()], path


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return machines.ready(tmp_path_factory.mktemp("luks") / "root")


@pytest.fixture
def host(machine: Path) -> Iterator[Host]:
    """A machine whose dump device is an opened LUKS volume."""
    with machines.copied(machine) as found:
        system = FakeSysfs(found.root / "sys")
        (found.root / f"sys/class/block/{DISK}").unlink()
        mapped = f"devices/virtual/block/{DISK}"
        system.write(f"{mapped}/dm/uuid", f"CRYPT-LUKS2-{UUID.replace('-', '')}-x")
        system.write(f"{mapped}/dm/name", "x")
        system.write(f"{mapped}/dev", NUMBER)
        system.link(f"class/block/{DISK}", mapped)
        system.disk(f"{machines.VIRTIO}/virtio2/block/sdz")
        system.link(f"{mapped}/slaves/sdz", f"{machines.VIRTIO}/virtio2/block/sdz")
        yield found


UUID = "4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"


def links(host: Host) -> dict[str, tuple[str, str, str]]:
    return {each.name: (each.answer, each.text, each.hint) for each in chain.look(host.root, None)}


def test_status_tells_whether_there_is_a_key(host: Host) -> None:
    answer, text, hint = links(host)["target"]
    assert (answer, hint) == (NO, "kdump-initrd luks-enroll /dev/sdz")
    assert text.endswith("on the LUKS volume /dev/sdz, and capture kernels have no key for that")
    assert links(host)["loaded"][0] == YES
    slotkey.make(UUID, Root(host.root))
    found = links(host)
    assert found["target"][0] == YES
    answer, text, hint = found["loaded"]
    assert (answer, hint) == (NO, "kdump-initrd reload")
    assert text.endswith("changed: what goes with the image")
    said = loadedfile.load(Root(host.root))
    assert said is not None
    host.write(
        "run/kdump-initrd/loaded",
        "".join(f"{name}={value}\n" for name, value in {**vars(said), "segment": "x"}.items()),
    )
    assert links(host)["loaded"][0] == YES


def test_check_tries_the_key(
    made: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = enrolled(made, 2, tmp_path, tmp_path)
    found = Hardware((), (), ("luks",), encrypted=(Encrypted("x", uuid_of(volume), volume),))
    monkeypatch.setattr(Root, "is_host", True)
    seen = SimpleNamespace(root=Root(tmp_path), hardware={"x": found})
    (fine,) = unlockable.check(cast(View, seen))
    assert (fine.name, fine.severity) == ("key", FINE)
    assert fine.text.startswith(f"{volume}: key slot 1 is opened by ")
    cryptsetup.kill(volume, 1)
    (error,) = unlockable.check(cast(View, seen))
    assert (error.severity, error.mend) == (ERROR, f"kdump-initrd luks-enroll {volume}")


@pytest.mark.parametrize(
    ("cipher", "parts"),
    [
        ("aes-xts-plain64", ("ecb", "aes", "xts")),
        ("aes-cbc-essiv:sha256", ("aes", "cbc", "essiv", "sha256")),
        ("capi:xts(aes)-plain64", ("ecb", "xts", "aes")),
        ("xchacha12,aes-adiantum-plain64", ("xchacha12", "aes", "adiantum")),
        ("cipher_null-ecb", ("cipher_null", "ecb")),
    ],
)
def test_parts_of_a_cipher(cipher: str, parts: tuple[str, ...]) -> None:
    assert encryption.names(cipher) == parts


def test_an_image_has_the_modules_of_the_cipher(
    made: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the header cannot be read, it has those of the usual one."""
    wanted = {"cipher aes-xts-plain64": ("crypto-ecb", "crypto-aes", "crypto-xts")}

    def modules(device: Path) -> dict[str, tuple[str, ...]]:
        found = Hardware((), (), ("luks",), encrypted=(Encrypted("x", "", device),))
        return encryption.modules(found, host=HostFacts())

    assert modules(made[2]) == wanted
    assert not caplog.messages
    assert modules(tmp_path) == wanted
    assert caplog.messages == [
        f"{tmp_path}: cannot be read (Is a directory): aes-xts-plain64 is expected"
    ]
    (tmp_path / "none").write_bytes(bytes(8192))
    with pytest.raises(KdumpInitrdError) as caught:
        modules(tmp_path / "none")
    assert caught.value.message == (
        f"{tmp_path}/none: an encrypted volume that has its LUKS header on another device, which "
        "the image cannot unlock"
    )
