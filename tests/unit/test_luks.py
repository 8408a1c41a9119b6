# SPDX-License-Identifier: GPL-2.0-or-later
"""``luks-enroll`` and ``luks-remove``: what they do to a real volume, and what they refuse."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from kdump_initrd.commands.admin import main
from kdump_initrd.core import exits
from kdump_initrd.core.root import Root
from kdump_initrd.core.run import run
from kdump_initrd.probe.host.mappings import Encrypted
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.upkeep.loading import lockedmemory
from kdump_initrd.upkeep.unlocking import cryptsetup, enrolment, slotkey

from .luksvolumes import PASSPHRASE, LuksHost, copy_of, made, opens, slots, uuid_of

__all__ = ["made"]

ROOT = Path("/dev/mapper/vg-root")
SECRET = Hardware((), (), ("lvm", "luks"), is_secret=True)


@dataclass
class Case:
    """A volume, and the root that keeps its key."""

    volume: Path
    root: Path
    host: LuksHost

    @property
    def uuid(self) -> str:
        return uuid_of(self.volume)

    @property
    def key(self) -> Path:
        return self.root / "etc/kdump-initrd/luks" / self.uuid

    def run(self, verb: str, *words: str | Path) -> int:
        """Run a verb with the volume, unless other words are given."""
        argv = [verb, *(map(str, words) if words else [str(self.volume)])]
        return main([*argv, "--root", str(self.root)])


@pytest.fixture(params=[1, 2], ids=["luks1", "luks2"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def case(
    made: dict[int, Path], version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Case:
    """A host on an encrypted root, whose person types the passphrase."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text("ID=debian\n")
    volume = copy_of(made, version, tmp_path)
    host = LuksHost({ROOT: SECRET}, {f"UUID={uuid_of(volume)}": volume})
    monkeypatch.setattr(enrolment, "HostFacts", lambda: host)
    # This process is not one that may not be looked into.
    monkeypatch.setattr(lockedmemory, "lock", lambda: None)
    type_in(monkeypatch, PASSPHRASE + b"\n")
    return Case(volume, root, host)


def type_in(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))


def error_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of an error; nothing else may be said."""
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()


def test_a_slot_of_its_own(case: Case, version: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.run("luks-enroll") == exits.DONE
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"enrolled: {case.volume} has key slot 1 for capture kernels, its key is {case.key}",
        "hint: kdump-initrd load",
    ]
    key = case.key.read_bytes()
    assert len(key) == 64
    assert case.key.stat().st_mode & 0o7777 == 0o600
    assert case.key.parent.stat().st_mode & 0o7777 == 0o700
    assert opens(case.volume, key)
    assert opens(case.volume, PASSPHRASE)
    if version == 2:
        first, second = slots(case.volume)
        kdf = second["kdf"]
        assert isinstance(kdf, dict)
        assert (kdf["type"], kdf["iterations"], second["priority"]) == ("pbkdf2", 1000, 2)
        assert "priority" not in first


def test_again_it_changes_nothing_and_asks_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case.run("luks-enroll")
    before = case.volume.read_bytes()[: 16 << 20], case.key.read_bytes()
    type_in(monkeypatch, b"")
    capsys.readouterr()
    assert case.run("luks-enroll", "--json", case.volume) == exits.DONE
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"].startswith(f"already enrolled: {case.volume} has key slot 1 ")
    assert answer["facts"] == {
        "device": str(case.volume), "uuid": case.uuid, "slot": 1, "key": str(case.key),
    }  # fmt: skip
    assert (case.volume.read_bytes()[: 16 << 20], case.key.read_bytes()) == before


def test_a_file_may_open_it(case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    type_in(monkeypatch, b"")
    (tmp_path / "file").write_bytes(PASSPHRASE)
    words = ("--key-file", tmp_path / "file", f"UUID={case.uuid}")
    assert case.run("luks-enroll", *words) == exits.DONE
    assert opens(case.volume, case.key.read_bytes())


@pytest.mark.parametrize(
    ("typed", "message", "hint"),
    [
        (
            b"wrong\n",
            "that passphrase opens no key slot",
            "type another one, or name a file with one",
        ),
        (b"\n", "no passphrase was given", "type one, or name a file with one"),
    ],
)
def test_a_wrong_passphrase_leaves_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    typed: bytes, message: str, hint: str,
) -> None:  # fmt: skip
    before = case.volume.read_bytes()
    type_in(monkeypatch, typed)
    assert case.run("luks-enroll") == exits.ERROR
    first, second = error_of(capsys)
    assert first.startswith("kdump-initrd: error: ") and first.endswith(message)
    assert second == f"hint: {hint}"
    assert not case.key.parent.exists()
    assert case.volume.read_bytes() == before


class Killed(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize("step", ["add", "prefer"])
def test_what_was_interrupted_is_completed(
    case: Case, version: int, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(cryptsetup, step, die)
        # A process that is killed does not clean up.
        patch.setattr(slotkey, "forget", die)
        if version == 2 or step == "add":
            with pytest.raises(Killed):
                case.run("luks-enroll")
    key = case.key.read_bytes() if case.key.exists() else b""
    type_in(monkeypatch, PASSPHRASE + b"\n")
    assert case.run("luks-enroll") == exits.DONE
    assert not key or case.key.read_bytes() == key
    assert opens(case.volume, case.key.read_bytes())
    if version == 2:
        assert [each.get("priority") for each in slots(case.volume)] == [None, 2]


def test_slot_and_key_are_taken_away(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.run("luks-enroll")
    key = case.key.read_bytes()
    capsys.readouterr()
    assert case.run("luks-remove") == exits.DONE
    assert capsys.readouterr().out.startswith(f"removed: key slot 1 of {case.volume}\n")
    assert not opens(case.volume, key)
    assert opens(case.volume, PASSPHRASE)
    assert not case.key.parent.exists()
    assert case.run("luks-remove") == exits.DONE
    assert capsys.readouterr().out == f"removed: {case.volume} had no key here\n"


def test_a_removal_that_was_interrupted(case: Case) -> None:
    case.run("luks-enroll")
    run(["cryptsetup", "luksKillSlot", "--batch-mode", case.volume, "1"], timeout=60)
    assert case.run("luks-remove") == exits.DONE
    assert not case.key.exists()
    assert opens(case.volume, PASSPHRASE)


def test_the_last_slot_stays(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.run("luks-enroll")
    run(["cryptsetup", "luksKillSlot", "--batch-mode", case.volume, "0"], timeout=60)
    capsys.readouterr()
    for words in ((case.volume,), ("--all",)):
        assert case.run("luks-remove", *words) == exits.ERROR
        first, second = error_of(capsys)
        assert first.endswith("nothing but our key opens it, so that stays")
        assert second.startswith("hint: cryptsetup luksAddKey adds a passphrase")
        assert opens(case.volume, case.key.read_bytes())


def test_all_volumes(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """One of them is gone: its slot cannot be taken away."""
    case.run("luks-enroll")
    gone = "00000000-0000-0000-0000-000000000000"
    slotkey.make(gone, Root(case.root))
    capsys.readouterr()
    assert case.run("luks-remove", "--all") == exits.DONE
    said = capsys.readouterr()
    assert said.out == f"removed: {', '.join(sorted([gone, case.uuid]))}\n"
    assert f"the key of {gone}, which is not here: its key slot stays there" in said.err
    assert not case.key.parent.exists()
    assert len(enrolment.find(str(case.volume), case.host).header.slots) == 1
    assert case.run("luks-remove", "--all") == exits.DONE
    assert capsys.readouterr().out == "removed: there was no key\n"


def test_a_volume_that_is_gone(case: Case) -> None:
    gone = "00000000-0000-0000-0000-000000000000"
    slotkey.make(gone, Root(case.root))
    assert case.run("luks-remove", f"UUID={gone}") == exits.DONE
    assert not case.key.parent.exists()


def _plain_root(case: Case) -> None:
    case.host.hardware_of = {ROOT: Hardware((), (), ("lvm",))}


def _unknown_root(case: Case) -> None:
    case.host.hardware_of = {}


def _no_volume(case: Case) -> None:
    case.volume.write_bytes(bytes(1 << 20))


def _volume_on_lvm(case: Case) -> None:
    _no_volume(case)
    found = Hardware((), (), ("lvm", "luks"), encrypted=(Encrypted("x", "", Path("/dev/sda5")),))
    case.host.hardware_of = {case.volume: found}


def _detached(case: Case) -> None:
    _no_volume(case)
    case.host.hardware_of = {case.volume: Hardware((), (), (), holders=("luks",))}


def _detached_mapping(case: Case) -> None:
    """What is named is the opened volume, and the device below it has no header."""
    below = case.volume.with_name("below")
    below.write_bytes(bytes(1 << 20))
    opened = Hardware((), (), ("luks",), encrypted=(Encrypted("x", "", below),))
    case.host.hardware_of = {case.volume: opened}


def _integrity(case: Case) -> None:
    _replace(case, b'"sector_size":', b'"integrity":{"type":"hmac(sha256)"},"sector_size":')


def _future(case: Case) -> None:
    _replace(case, b'"keyslots_size":', b'"requirements":{"mandatory":["x"]},"keyslots_size":')


def _replace(case: Case, old: bytes, new: bytes) -> None:
    content = case.volume.read_bytes()
    area = content[4096:16384]
    assert old in area
    area = area.replace(old, new).rstrip(b"\0").ljust(len(area), b"\0")
    case.volume.write_bytes(content[:4096] + area + content[16384:])


def _reencrypted(case: Case) -> None:
    argv = ["cryptsetup", "reencrypt", "--init-only", "--batch-mode", "--key-file", "-"]
    argv += ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
    run([*argv, case.volume], timeout=60, stdin=PASSPHRASE)


def _damaged(case: Case) -> None:
    _replace(case, b'"keyslots":', b'"keyslots"?')


def _gone(case: Case) -> None:
    case.volume.unlink()


REFUSED = {
    "root without encryption": (_plain_root, "/dev/mapper/vg-root is not encrypted",
                                "it can only be kept on an encrypted root"),
    "unknown root": (_unknown_root, "is not encrypted", "it can only be kept"),
    "no volume": (_no_volume, ": not a LUKS volume", "lsblk -f lists LUKS volumes"),
    "something on a volume": (_volume_on_lvm, ": not a LUKS volume", "it lies on /dev/sda5"),
    "detached header": (_detached, "its LUKS header is on another device", "dump to a volume"),
    "of a mapping": (_detached_mapping, "its LUKS header is on another device", "dump to a"),
    "integrity": (_integrity, ": has dm-integrity", "dump to another volume"),
    "a later version": (_future, ": requires x", "dump to another volume"),
    "reencryption": (_reencrypted, ": is being reencrypted", "wait for the end of that"),
    "damaged": (_damaged, "its LUKS header is damaged", "cryptsetup repair "),
    "gone": (_gone, ": no such device", "lsblk -f lists LUKS volumes"),
}  # fmt: skip


@pytest.mark.parametrize("version", [2], indirect=True, ids=["luks2"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(case: Case, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, message, hint = REFUSED[name]
    spoil(case)
    assert case.run("luks-enroll") == exits.ERROR
    first, second = error_of(capsys)
    assert message in first
    assert second.startswith(f"hint: {hint}")
    assert not (case.root / "etc/kdump-initrd").exists() or not [*case.key.parent.iterdir()]


def test_a_reencryption_of_luks1(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """cryptsetup before 2.6 marks such a volume so (src/utils_reencrypt_luks1.c)."""
    with case.volume.open("r+b") as file:
        file.write(b"LUKS\xde\xad\x00\x01")
    assert case.run("luks-enroll") == exits.ERROR
    assert ": is being reencrypted" in error_of(capsys)[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["luks-enroll"], "luks-enroll: expected a device"),
        (["luks-enroll", ""], "luks-enroll: expected a device"),
        (["luks-enroll", "/dev/a", "/dev/b"], "/dev/b: luks-enroll takes one DEV only"),
        (["luks-enroll", "/dev/a", "--key-file", ""], "--key-file: the value is empty"),
        (["luks-remove"], "luks-remove: expected a device"),
        (["luks-remove", "--all", "/dev/a"], "--all: not with a device"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == exits.USAGE
    assert error_of(capsys)[0] == f"kdump-initrd: error: {message}"


#: Notes what it is given, and then is cryptsetup.
_SPY = """\
#!/bin/sh
printf '%s\\n' "$0 $*" >>"{log}"
env >>"{log}"
exec {cryptsetup} "$@"
"""


def test_no_key_is_in_words_environment_or_files(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdump_initrd.core.run import find

    log, spy = tmp_path / "log", tmp_path / "bin/cryptsetup"
    spy.parent.mkdir()
    spy.write_text(_SPY.format(log=log, cryptsetup=find("cryptsetup")))
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    case.run("luks-enroll")
    key = case.key.read_bytes()
    volume = bytes(cryptsetup.volume_key(case.volume, case.key))
    case.run("luks-remove")
    seen = log.read_bytes()
    assert b"luksAddKey" in seen and b"luksDump" in seen and b"luksKillSlot" in seen
    texts = [seen, *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())]
    for secret in (PASSPHRASE, key, volume):
        for form in (secret, secret.hex().encode(), secret.hex().upper().encode()):
            assert not [text for text in texts if form in text]
