# SPDX-License-Identifier: GPL-2.0-or-later
"""Profiles: os-release, inheritance, the schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.errors import KdumpInitrdError
from kdump_initrd.probe import distro
from kdump_initrd.resources import search_path
from kdump_initrd.saver.codec import AUTO

REPO = Path(__file__).parents[2]
INITRD = "initrd: tables with marks (a list), files and features (tables) are wanted"
SHIPPED = search_path("distros", root=Path("/nonexistent"))


@pytest.mark.parametrize("name", distro.known(SHIPPED))
def test_every_shipped_profile_loads(name: str) -> None:
    profile = distro.load(name, search_path=SHIPPED)
    assert "panic=10" in profile.capture_cmdline("x86_64")
    assert "{release}" in profile.kernel.capture_image
    assert set(profile.hardware) == {
        "virtio", "nvme", "ahci", "scsi", "xen", "hyperv", "vmware", "usb", "mmc"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "initrd", "image", "first", "dump"),
    [
        ("debian", "boot/initrd.img-{release}", "boot/initrd.img-{release}-kdump",
         "initrd.img-kdump-{release}", "dump.%Y%m%d%H%M"),
        ("fedora", "boot/initramfs-{release}.img", "boot/initramfs-{release}kdump.img",
         "initramfs-kdump-{release}.img", "vmcore"),
        ("rhel", "boot/initramfs-{release}.img", "boot/initramfs-{release}kdump.img",
         "initramfs-kdump-{release}.img", "vmcore"),
        ("sles", "boot/initrd-{release}", "boot/initrd-{release}-kdump",
         "initrd-kdump-{release}", "vmcore"),
    ],
)  # fmt: skip
def test_names_are_the_distributions(
    name: str, initrd: str, image: str, first: str, dump: str
) -> None:
    profile = distro.load(name, search_path=SHIPPED)
    assert profile.kernel.initrd[0] == initrd
    assert (profile.kernel.capture_image, profile.kernel.first_image) == (image, first)
    assert profile.dump.dump == dump


@pytest.mark.parametrize("name", distro.known(SHIPPED))
def test_codecs_are_in_the_order_of_speed(name: str) -> None:
    codecs = distro.load(name, search_path=SHIPPED).dump.codecs
    assert list(codecs) == [codec for codec in AUTO if codec in codecs]
    assert {"lzo", "zlib"} <= set(codecs)
    assert distro.CODECS == AUTO


def test_codecs_are_the_distributions() -> None:
    found = {
        name: distro.load(name, search_path=SHIPPED).dump.codecs
        for name in ("debian", "fedora", "rhel", "sles")
    }
    assert found == {
        "debian": ("lzo", "zlib"),
        "fedora": ("lzo", "snappy", "zstd", "zlib"),
        "rhel": ("lzo", "snappy", "zlib"),
        "sles": ("lzo", "snappy", "zlib"),
    }


@pytest.mark.parametrize("name", distro.known(SHIPPED))
def test_kinds_of_initrd_and_their_templates(name: str) -> None:
    """The first whose marks are there wins, so that a whole one of ours has to be the last."""
    kinds = distro.load(name, search_path=SHIPPED).initrds
    assert [kind.name for kind in kinds] == [
        "initramfs-tools", "dracut", "dracut-var", "kdump-initrd"
    ]  # fmt: skip
    templates = {name for kind in kinds for name in kind.files.values()}
    shipped = {f"first/{path.name}" for path in (REPO / "templates/first").glob("*.j2")}
    assert templates
    assert templates <= shipped
    for kind in kinds:
        assert kind.marks[0] == "init"
        paths = [*kind.marks, *kind.files, *kind.features.values()]
        assert not [path for path in paths if path.startswith("/") or ".." in path]


def test_a_kind_of_initrd_is_added_and_one_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'inherits = "linux"\nname = "Mine"\n'
        "[initrd.dracut]\nmarks = ['x']\nfiles = { 'a' = 'b.j2' }\n"
        "[initrd.mine]\nmarks = ['y', 'z']\nfiles = {}\nfeatures = { word = 'w' }\n"
    )
    kinds = distro.load("mine", search_path=(tmp_path, *SHIPPED)).initrds
    assert [kind.name for kind in kinds][1:] == ["dracut", "dracut-var", "kdump-initrd", "mine"]
    assert kinds[1] == distro.InitrdKind("dracut", ("x",), {"a": "b.j2"}, {})
    assert kinds[-1] == distro.InitrdKind("mine", ("y", "z"), {}, {"word": "w"})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ID=debian\n", "debian"),
        ('ID=ubuntu\nID_LIKE="debian"\n', "debian"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "rhel"),
        ("ID='opensuse-leap'\nID_LIKE='suse opensuse'\n", "suse"),
        ("ID=plan9\n", "linux"),
        ("# nothing\nID='unbalanced\n", "linux"),
        ("", "linux"),
    ],
)
def test_detected_from_os_release(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(text)
    assert distro.detect(tmp_path, search_path=SHIPPED).id == wanted


def test_unknown_id_lists_the_known() -> None:
    with pytest.raises(KdumpInitrdError, match="beos: unknown distribution") as caught:
        distro.load("beos", search_path=SHIPPED)
    assert caught.value.hint is not None
    assert "debian" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('inherits = "linux"\nnmae = "X"', "nmae: unknown key", "did you mean name?"),
        ('inherits = "linux"\n[dump]\ndirectry = "x"', "dump.directry", "dump.directory"),
        ('inherits = "linux"\n[dump]\npath = 1', "dump.path: a string is wanted", None),
        ('inherits = "linux"\n[dump]\ncodecs = "lzo"', "dump.codecs: a list of strings", None),
        ('inherits = "linux"\n[dump]\ncodecs = []', "dump.codecs: none", "lzo, snappy, zstd, zlib"),
        ('inherits = "linux"\n[dump]\ncodecs = ["lzo", "lz4"]', "dump.codecs: lzo, lz4", "one or"),
        ('inherits = "linux"\n[tools]\nshell = "sh"', "tools.shell: a list of strings", None),
        ('inherits = "linux"\n[hardware]\nnvme = "nvme"', "hardware: lists of strings", None),
        ('inherits = "linux"\n[kernel]\nfirst_image = ["x"]', "kernel.first_image: a string", None),
        ('inherits = "linux"\n[kernel]\nfirst_imag = "x"', "first_imag", "kernel.first_image"),
        *(
            (f'inherits = "linux"\n{text}', INITRD, None)
            for text in (
                "initrd = 1",
                "[initrd]\nx = 1",
                "[initrd.x]\nmarks = []",
                "[initrd.x]\nfiles = {}",
                "[initrd.x]\nmarks = 'init'\nfiles = {}",
                "[initrd.x]\nmarks = [1]\nfiles = {}",
                "[initrd.x]\nmarks = []\nfiles = []",
                "[initrd.x]\nmarks = []\nfiles = { a = 1 }",
                "[initrd.x]\nmarks = []\nfiles = {}\nfeatures = 1",
                "[initrd.x]\nmarks = []\nfiles = {}\nfeatures = { a = [] }",
                "[initrd.x]\nmarks = []\nfiles = {}\nfile = {}",
            )
        ),
        ("[[", "broken.toml", None),
        ('inherits = "broken"', "inherits from itself", None),
    ],
)
def test_wrong_profile_is_refused(
    tmp_path: Path, text: str, message: str, hint: str | None
) -> None:
    (tmp_path / "broken.toml").write_text(text)
    with pytest.raises(KdumpInitrdError) as caught:
        distro.load("broken", search_path=(tmp_path, *SHIPPED))
    assert message in caught.value.message
    if hint:
        assert hint in str(caught.value.hint)


def test_administrators_profile_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "etc/kdump-initrd/distros"
    own.mkdir(parents=True)
    (own / "debian.toml").write_text('inherits = "linux"\nname = "Mine"\n')
    found = distro.load("debian", search_path=search_path("distros", root=tmp_path))
    assert found.name == "Mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "X"', "cmdline.common are wanted"),
        ('name = "X"\n[cmdline]\ncommon = []', "no kernel.image"),
        ('inherits = "linux"\n[kernel]\ncapture_image = "boot/{foo}"', "kernel.capture_image"),
        ('inherits = "linux"\n[kernel]\nfirst_image = "x-{releas}"', "kernel.first_image"),
    ],
)
def test_profile_that_lacks_something_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(KdumpInitrdError) as caught:
        distro.load("mine", search_path=(tmp_path, *SHIPPED))
    assert message in caught.value.message
    assert caught.value.hint
