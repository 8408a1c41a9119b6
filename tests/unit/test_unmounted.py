# SPDX-License-Identifier: GPL-2.0-or-later
"""A /boot that is not mounted, and overrides that anybody can write: said before it matters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdump_initrd.config import ownership
from kdump_initrd.core import publish
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.host import unmounted
from kdump_initrd.upkeep import record

from .commandline import CAPTURE, complain
from .thiskernel import RELEASE

ROW = "36 35 98:0 / {} rw,noatime master:1 - ext4 /dev/root rw\n"


def check(tmp_path: Path, path: str, fstab: str, *mounted: str) -> None:
    (tmp_path / "fstab").write_text(fstab)
    (tmp_path / "mounts").write_text("".join(ROW.format(each) for each in ("/", *mounted)))
    unmounted.check(Path(path), fstab=tmp_path / "fstab", mounts=tmp_path / "mounts")


FSTAB = """\
# UUID=1 /none/commented ext4 defaults 0 2
UUID=0 / ext4 defaults 0 1

UUID=1\t/none/boot/\text4 noauto 0 2
UUID=2 /none/a\\040b ext4 defaults 0 2
UUID=3 none swap sw 0 0
odd
"""


@pytest.mark.parametrize(
    ("path", "mounted", "place"),
    [
        ("/none/boot/initrd", (), "/none/boot"),
        ("/none/boot/sub/initrd", (), "/none/boot"),
        ("/none/boot/initrd", ("/none/boot",), ""),
        ("/none/boot/efi/initrd", ("/none/boot/efi",), ""),
        ("/none/bootx/initrd", (), ""),
        ("/none/commented/initrd", (), ""),
        ("/none/a b/initrd", (), "/none/a b"),
        ("/none/a b/initrd", ("/none/a\\040b",), ""),
    ],
)
def test_what_would_be_hidden(
    tmp_path: Path, path: str, mounted: tuple[str, ...], place: str
) -> None:
    if not place:
        check(tmp_path, path, FSTAB, *mounted)
        return
    with pytest.raises(KdumpInitrdError) as caught:
        check(tmp_path, path, FSTAB, *mounted)
    fstab = tmp_path / "fstab"
    assert caught.value.message == (
        f"{place}: is in {fstab}, but not mounted: {path} would be hidden once it is"
    )
    assert caught.value.hint == f"mount {place}, or remove its line from {fstab}"


def test_where_nobody_can_tell(tmp_path: Path) -> None:
    unmounted.check(Path("/none/x"), fstab=tmp_path / "fstab", mounts=tmp_path / "mounts")


@pytest.mark.parametrize(
    ("name", "mode", "user", "group", "who"),
    [
        ("etc/kdump-initrd/hooks/save/5-mine", 0o755, 0, 0, ""),
        ("etc/kdump-initrd/hooks/save/5-mine", 0o775, 0, 0, ""),
        ("etc/kdump-initrd/hooks/save/5-mine", 0o775, 0, 50, "group 50 can write to it"),
        ("etc/kdump-initrd/hooks/save/5-mine", 0o757, 0, 0, "everybody can write to it"),
        ("etc/kdump-initrd/hooks/save/5-mine", 0o755, 1000, 0, "it belongs to user 1000"),
        ("etc/kdump-initrd/hooks/save", 0o1777, 0, 0, "everybody can write to it"),
        ("etc/kdump-initrd", 0o755, 1000, 0, "it belongs to user 1000"),
        ("etc/kdump-initrd.toml", 0o666, 0, 0, "everybody can write to it"),
        ("etc/kdump-initrd.toml.d", 0o777, 0, 0, "everybody can write to it"),
        ("etc/kdump-initrd.toml.d/1.toml", 0o644, 1000, 0, "it belongs to user 1000"),
    ],
)
def test_who_can_write(
    tmp_path: Path, name: str, mode: int, user: int, group: int, who: str
) -> None:
    for each in ("etc/kdump-initrd/hooks/save/5-mine", "etc/kdump-initrd.toml",
                 "etc/kdump-initrd.toml.d/1.toml"):  # fmt: skip
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).touch()
    for path in (path for path in tmp_path.rglob("*") if path.name != "etc"):
        path.chmod(0o755)
    os.chown(tmp_path / name, user, group)
    (tmp_path / name).chmod(mode)
    path = tmp_path / name
    expected = (
        f"{path}: {who}, and its contents run as root: chown root:root {path}; chmod go-w {path}"
    )
    assert list(ownership.writable(Root(tmp_path))) == ([expected] if who else [])
    assert list(ownership.warnings(Root(tmp_path))) == []


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    hooks = tmp_path / "etc/kdump-initrd/hooks/save"
    hooks.mkdir(parents=True)
    (tmp_path / "elsewhere").touch(mode=0o777)
    (tmp_path / "elsewhere").chmod(0o777)
    (hooks / "5-mine").symlink_to("../../../../elsewhere")
    (hooks / "6-gone").symlink_to("nowhere")
    assert [line.partition(":")[0] for line in ownership.writable(Root(tmp_path))] == [
        str(hooks / "5-mine")
    ]


def test_nothing_is_taken_for_gone_or_written_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a lock: kernels that are not to be seen are not gone."""

    def refuse(path: Path) -> None:
        raise KdumpInitrdError(f"{path}: hidden", hint="mount /boot")

    def fail(*_: object, **__: object) -> None:
        pytest.fail("went on")

    monkeypatch.setattr(unmounted, "check", refuse)
    monkeypatch.setattr(record, "alone", fail)
    monkeypatch.setattr(publish, "new_file", fail)
    for words in ("--refresh", "--refresh --dry-run", "--remove", "--remove 6.1.0-none"):
        status, error, hint = complain(capsys, *words.split())
        assert (status, error.endswith(": hidden"), hint) == (1, True, "mount /boot")
    out = tmp_path / "image"
    assert complain(capsys, *CAPTURE, "-o", str(out), RELEASE)[:2] == (1, f"{out}: hidden")
    assert not out.exists()
