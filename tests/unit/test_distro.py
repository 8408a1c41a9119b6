# SPDX-License-Identifier: GPL-2.0-or-later
"""Profiles: what the shipped ones say, inheritance, overriding."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import architectures, placeholder, profilekeys, profiles
from kdump_initrd.saver.codec.rows import BY_NAME
from kdump_initrd.saver.params import NameParams
from kdump_initrd.upkeep import unifiedkernel

REPO = Path(__file__).parents[2]
SHIPPED = search_path("distros", root=Root(Path("/nonexistent")))
FAMILIES = {
    "linux": (), "arch": ("linux",), "debian": ("linux",), "ubuntu": ("debian", "linux"),
    "redhat": ("linux",), "fedora": ("redhat", "linux"), "rhel": ("redhat", "linux"),
    **dict.fromkeys(("centos", "rocky", "almalinux"), ("rhel", "redhat", "linux")),
    "amazon": ("redhat", "linux"), "suse": ("linux",),
    **dict.fromkeys(("sles", "opensuse-leap", "opensuse-tumbleweed"), ("suse", "linux")),
}  # fmt: skip
KINDS = [
    "initramfs-tools", "dracut", "dracut-var", "mkinitcpio-systemd", "mkinitcpio", "kdump-initrd"
]  # fmt: skip


def write(folder: Path, name: str, text: str) -> Path:
    """Write a profile."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The administrator's folder of a root."""
    folder = tmp_path / "etc/kdump-initrd/distros"
    folder.mkdir(parents=True)
    return folder


def load(name: str, root: Path) -> profiles.Distro:
    return profiles.load(name, search_path=search_path("distros", root=Root(root)), root=Root())


def test_the_families() -> None:
    found = {
        name: tuple(
            file.path.stem
            for file in profiles.read(name, search_path=SHIPPED, root=Root()).files[-2::-1]
        )
        for name in profiles.known(SHIPPED, root=Root())
    }
    assert found == FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_every_shipped_profile_loads(name: str) -> None:
    profile = profiles.load(name, search_path=SHIPPED, root=Root())
    assert "panic=10" in profile.capture_cmdline("x86_64")
    assert "{release}" in profile.kernel.capture_image
    assert "{release}" in profile.kernel.first_image
    assert set(profile.hardware) == {
        "virtio", "nvme", "ahci", "scsi", "xen", "hyperv", "vmware", "usb", "mmc"
    }  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_a_kernel_from_a_unified_image_is_the_last_choice(name: str) -> None:
    layout = profiles.load(name, search_path=SHIPPED, root=Root()).kernel
    kept = unifiedkernel.place("{release}", root=Root())
    assert Path("/") / layout.image[-1] == kept


@pytest.mark.parametrize("name", FAMILIES)
def test_the_saver_takes_the_names_of_every_profile(name: str) -> None:
    dump = profiles.load(name, search_path=SHIPPED, root=Root()).dump
    params = NameParams(directory=dump.directory, dump=dump.dump, dmesg=dump.dmesg,
                        readme=dump.readme)  # fmt: skip
    assert params.directory == dump.directory
    assert len({dump.dump, dump.dmesg, dump.readme, dump.capture_log}) == 4


@pytest.mark.parametrize(
    ("family", "peer", "directory", "files", "image", "first"),
    [
        ("debian", "kdump-tools", "%Y%m%d%H%M", ("dump.%Y%m%d%H%M", "dmesg.%Y%m%d%H%M", ""),
         "boot/initrd.img-{release}-kdump", "initrd.img-kdump-{release}"),
        ("redhat", "kdump-utils", "127.0.0.1-%Y-%m-%d-%H:%M:%S",
         ("vmcore", "vmcore-dmesg.txt", ""),
         "boot/initramfs-{release}-kdump-initrd.img", "initramfs-kdump-{release}.img"),
        ("suse", "suse-kdump", "%Y-%m-%d-%H-%M", ("vmcore", "dmesg", "README.txt"),
         "boot/initrd-{release}-kdump-initrd", "initrd-kdump-{release}"),
        ("arch", "", "%Y%m%d%H%M", ("dump.%Y%m%d%H%M", "dmesg.%Y%m%d%H%M", ""),
         "boot/initramfs-{release}-kdump.img", "initramfs-kdump-{release}.img"),
    ],
)  # fmt: skip
def test_names_are_the_distributions(
    family: str, peer: str, directory: str, files: tuple[str, ...], image: str, first: str
) -> None:
    members = [name for name, above in FAMILIES.items() if family in (name, *above)]
    assert members
    for name in members:
        profile = profiles.load(name, search_path=SHIPPED, root=Root())
        dump = profile.dump
        assert profile.config.peer == peer, name
        assert (dump.path, dump.directory) == ("/var/crash", directory), name
        assert (dump.dump, dump.dmesg, dump.readme) == files, name
        assert dump.capture_log == "kexec-dmesg.log", name
        assert (profile.kernel.capture_image, profile.kernel.first_image) == (image, first), name


def test_codecs_are_the_distributions() -> None:
    all_four = ("lzo", "snappy", "zstd", "zlib")
    found = {
        name: profiles.load(name, search_path=SHIPPED, root=Root()).dump.codecs for name in FAMILIES
    }
    assert {found.pop(name) for name in ("fedora", "opensuse-tumbleweed")} == {all_four}
    assert {found.pop(name) for name in ("arch", "linux")} == {("zlib",)}
    assert found.pop("ubuntu") == ("lzo", "zstd", "zlib")
    assert found.pop("debian") == ("lzo", "zlib")
    assert set(found.values()) == {("lzo", "snappy", "zlib")}


@pytest.mark.parametrize("name", FAMILIES)
def test_codecs_are_in_the_order_of_speed(name: str) -> None:
    codecs = profiles.load(name, search_path=SHIPPED, root=Root()).dump.codecs
    assert list(codecs) == [codec for codec in BY_NAME if codec in codecs]
    assert "zlib" in codecs


def test_the_capture_command_line_of_each_machine() -> None:
    rocky, debian = (
        profiles.load(name, search_path=SHIPPED, root=Root()) for name in ("rocky", "debian")
    )
    assert "nr_cpus=1" in rocky.capture_cmdline("ppc64le")
    assert "maxcpus=1" in debian.capture_cmdline("ppc64le")
    assert rocky.capture_cmdline("s390x") == debian.capture_cmdline("s390x")
    assert "irqpoll" not in debian.capture_cmdline("s390x")
    # Of a machine that nobody knows, what holds for all.
    assert debian.capture_cmdline("vax") == debian.cmdline["common"]


@pytest.mark.parametrize("name", FAMILIES)
def test_kinds_of_initrd_and_their_templates(name: str) -> None:
    """The first whose marks are there wins, so that a whole one of ours has to be the last."""
    kinds = profiles.load(name, search_path=SHIPPED, root=Root()).initrds
    assert [kind.name for kind in kinds] == KINDS
    templates = {name for kind in kinds for name in kind.files.values()}
    shipped = {f"first/{path.name}" for path in (REPO / "templates/first").glob("*.j2")}
    assert templates
    assert templates <= shipped
    for kind in kinds:
        assert kind.marks[0] == "init"


def test_a_kind_of_initrd_is_added_and_one_is_replaced(tmp_path: Path) -> None:
    text = (
        'inherits = "linux"\nname = "Mine"\n'
        "[initrd.dracut]\nmarks = ['x']\nfiles = { 'a' = 'b.j2' }\n"
        "[initrd.mine]\nmarks = ['y', 'z']\nfiles = {}\nfeatures = { word = 'w' }\n"
    )
    write(tmp_path, "mine", text)
    kinds = profiles.load("mine", search_path=(tmp_path, *SHIPPED), root=Root()).initrds
    assert [kind.name for kind in kinds] == [*KINDS, "mine"]
    assert kinds[1] == profiles.InitrdKind("dracut", ("x",), {"a": "b.j2"}, {})
    assert kinds[-1] == profiles.InitrdKind("mine", ("y", "z"), {}, {"word": "w"})


def test_an_override_changes_what_it_says(own: Path, tmp_path: Path) -> None:
    write(own, "debian", '[dump]\npath = "/srv/crash"\n')
    found, shipped = (
        load("debian", tmp_path),
        profiles.load("debian", search_path=SHIPPED, root=Root()),
    )
    assert found.dump.path == "/srv/crash"
    assert found.dump.directory == shipped.dump.directory
    assert found.kernel == shipped.kernel
    # And what inherits from it.
    assert load("ubuntu", tmp_path).dump.path == "/srv/crash"
    assert load("rocky", tmp_path).dump.path == "/var/crash"


def test_an_override_may_name_the_one_below(own: Path, tmp_path: Path) -> None:
    write(own, "debian", 'inherits = "debian"\nname = "Mine"\n')
    assert load("debian", tmp_path).name == "Mine"
    assert load("debian", tmp_path).config.peer == "kdump-tools"


def test_an_override_may_inherit_from_another(own: Path, tmp_path: Path) -> None:
    write(own, "debian", 'inherits = "suse"\nname = "Odd"\n')
    found = load("debian", tmp_path)
    assert (found.name, found.id, found.dump.dump) == ("Odd", "debian", "vmcore")


def test_an_override_of_what_all_inherit_from(own: Path, tmp_path: Path) -> None:
    write(own, "linux", '[dump]\npath = "/srv/crash"\n')
    assert {load(name, tmp_path).dump.path for name in FAMILIES} == {"/srv/crash"}


@pytest.mark.parametrize(
    "texts",
    [
        {"a": 'inherits = "a"'},
        {"a": 'inherits = "b"', "b": 'inherits = "a"'},
        {"a": 'inherits = "b"', "b": 'inherits = "c"', "c": 'inherits = "b"'},
        {"linux": 'inherits = "a"', "a": 'inherits = "linux"'},
    ],
)
def test_a_circle_is_refused(tmp_path: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        write(tmp_path, name, text)
    with pytest.raises(KdumpInitrdError, match=r"/\w+\.toml:1: \w+ inherits from itself"):
        profiles.load("a", search_path=(tmp_path, *SHIPPED), root=Root())


def test_an_unknown_parent_is_refused_where_it_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "mine", '\ninherits = "beos"\n')
    with pytest.raises(KdumpInitrdError) as caught:
        profiles.load("mine", search_path=(tmp_path, *SHIPPED), root=Root())
    assert caught.value.message == f"{path}:2: beos: unknown distribution"
    assert "debian" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["beos", "", "../debian", "/etc/passwd", "x\0y", "a" * 5000])
def test_unknown_id_lists_the_known(name: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        profiles.load(name, search_path=SHIPPED, root=Root())
    assert caught.value.message == f"{name}: unknown distribution"
    assert "debian" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "X"', "mine.toml: name and cmdline.common are missing"),
        ('name = "X"\n[cmdline]\ncommon = []', "mine.toml: kernel.image is missing"),
        ("", "mine.toml: name and cmdline.common are missing"),
    ],
)
def test_profile_that_lacks_something_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "mine", text)
    with pytest.raises(KdumpInitrdError) as caught:
        profiles.load("mine", search_path=(tmp_path, *SHIPPED), root=Root())
    assert caught.value.message == message
    assert caught.value.hint == 'inherits = "linux" has a value for every key'


def test_the_man_page_has_all_keys_and_no_others() -> None:
    """Each key is bold in its section; the bold words of a section's tags are keys of it."""
    page = (REPO / "docs/man/kdump-initrd-distro.5").read_text().replace("\\-", "-")
    page = page.replace('", "', "").split(".SH KEYS")[1].split(".SH HOOKS")[0]
    top, *rest = page.split(".SS ")
    sections = {text.split("]")[0].strip("[").split(".")[0]: text for text in rest}
    records = {each.name: each.type for each in fields(profiles.Distro)}
    tables = {"initrd", "bootloader", "kernel", "dump", "tools", "config"}
    assert set(sections) == {*profilekeys.LISTS, *tables}
    for name in ("kernel", "dump", "tools", "config"):
        tags = re.findall(r"^\.TP\n\.BR? (.*)", sections[name], re.MULTILINE)
        words = {word for tag in tags for word in re.findall(r"[\w{}]+", tag)}
        keys = {each.name for each in fields(getattr(profiles, str(records[name])))}
        wanted = {f"{{{word}}}" for word in placeholder.WORDS} if name == "kernel" else set()
        assert words == keys | wanted, name
    assert re.findall(r"^\.TP\n\.B (\w+)", top, re.MULTILINE) == [
        "inherits", "name", "ids", "files"
    ]  # fmt: skip
    kinds = re.findall(r"^\.TP\n\.B (\w+)", sections["initrd"], re.MULTILINE)
    assert kinds == ["marks", "files", "features"]
    tags = re.findall(r"^\.TP\n\.BR? (.*)", sections["bootloader"], re.MULTILINE)
    words = {word for tag in tags for word in re.findall(r"\w+", tag)}
    assert words == {each.name for each in fields(profilekeys.BootLoader)}
    assert {*profilekeys.WAYS} <= set(re.findall(r"[\w-]+", sections["bootloader"]))
    machines = set(re.findall(r"\w+", sections["cmdline"]))
    assert {*architectures.facts().known, "common", "inherit"} <= machines
    assert {*BY_NAME} <= set(re.findall(r"\w+", sections["dump"]))
    assert {*filter(None, profilekeys.PEERS)} <= set(re.findall(r"[\w-]+", sections["config"]))


def test_the_table_of_architectures_is_an_input_like_the_profiles() -> None:
    for root in (Root(), Root()):
        profiles.load("ubuntu", search_path=SHIPPED, root=root)
        names = ("ubuntu.toml", "debian.toml", "linux.toml", "linux/architectures.toml")
        assert {str(SHIPPED[-1] / name) for name in names} <= root.asked.looked


def test_the_man_page_names_all_profiles() -> None:
    page = (REPO / "docs/man/kdump-initrd-distro.5").read_text().replace("\\-", "-")
    text = page.split(".SH PROFILES")[1].split(".SH KEYS")[0]
    assert re.findall(r"^\.IR ?([\w-]+)|^\.I ([\w-]+)", text, re.MULTILINE)
    assert set(re.findall(r"^\.IR? ([\w-]+)", text, re.MULTILINE)) == set(FAMILIES)
