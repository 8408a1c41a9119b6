# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots with the files of real installations: which profile they get, and what it finds there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import placeholder, profiles
from kdump_initrd.probe.distro.profiles import Distro
from kdump_initrd.probe.kernel import releases

from .initrdwriter import bzimage

MACHINE = "0123456789abcdef0123456789abcdef"
VERSION = "6.12.1-default"


@dataclass(frozen=True)
class Layout:
    """An installation: os-release, the release of its kernel, its files, and which are found.

    ``files`` maps paths to contents; a value that begins with "->" is a link's target.
    """

    profile: str
    os_release: str
    release: str
    files: dict[str, str]
    image: str
    initrd: str
    config: str = ""
    busybox: str = ""


def entry(version: str, linux: str, *initrds: str, title: str = "Linux") -> str:
    """Return a boot loader entry."""
    text = f"# comment\ntitle {title}\nversion\t {version}\nlinux {linux}\n"
    return text + "".join(f"initrd     {name}\n" for name in initrds) + "options root=/dev/x\n"


def token(name: str, release: str, *, boot: str = "boot") -> dict[str, str]:
    """Return the files of kernel-install's layout."""
    folder = f"{name}/{release}"
    return {
        f"{boot}/{folder}/linux": "kernel", f"{boot}/{folder}/initrd": "initrd",
        f"{boot}/loader/entries/{name}-{release}.conf":
            entry(release, f"/{folder}/linux", f"/{folder}/initrd"),
    }  # fmt: skip


LAYOUTS = {
    "Debian 12": Layout(
        "debian", "ID=debian\n", "6.1.0-50-amd64",
        {"boot/vmlinuz-6.1.0-50-amd64": "", "boot/initrd.img-6.1.0-50-amd64": "",
         "boot/config-6.1.0-50-amd64": "", "usr/lib/modules/6.1.0-50-amd64/modules.dep": "",
         "lib": "->usr/lib", "bin": "->usr/bin", "usr/bin/busybox": ""},
        "boot/vmlinuz-6.1.0-50-amd64", "boot/initrd.img-6.1.0-50-amd64",
        "boot/config-6.1.0-50-amd64", "usr/bin/busybox"),
    "Debian for ppc64el": Layout(
        "debian", "ID=debian\n", "6.1.0-50-powerpc64le",
        {"boot/vmlinux-6.1.0-50-powerpc64le": "", "boot/initrd.img-6.1.0-50-powerpc64le": ""},
        "boot/vmlinux-6.1.0-50-powerpc64le", "boot/initrd.img-6.1.0-50-powerpc64le"),
    "Ubuntu 24.04": Layout(
        "ubuntu", 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "6.8.0-31-generic",
        {"boot/vmlinuz-6.8.0-31-generic": "", "boot/initrd.img-6.8.0-31-generic": "",
         "boot/config-6.8.0-31-generic": "", "usr/lib/initramfs-tools/bin/busybox": ""},
        "boot/vmlinuz-6.8.0-31-generic", "boot/initrd.img-6.8.0-31-generic",
        "boot/config-6.8.0-31-generic", "usr/lib/initramfs-tools/bin/busybox"),
    "Fedora": Layout(
        "fedora", 'NAME="Fedora Linux"\nID=fedora\n', "6.11.4-301.fc41.x86_64",
        {"usr/lib/modules/6.11.4-301.fc41.x86_64/vmlinuz": "",
         "usr/lib/modules/6.11.4-301.fc41.x86_64/config": "",
         "boot/vmlinuz-6.11.4-301.fc41.x86_64": "", "usr/sbin/busybox": "",
         "boot/config-6.11.4-301.fc41.x86_64": "",
         "boot/initramfs-6.11.4-301.fc41.x86_64.img": "",
         "boot/initramfs-6.11.4-301.fc41.x86_64kdump.img": "kdump's own",
         f"boot/loader/entries/{MACHINE}-6.11.4-301.fc41.x86_64.conf":
             entry("6.11.4-301.fc41.x86_64", "/vmlinuz-6.11.4-301.fc41.x86_64",
                   "/initramfs-6.11.4-301.fc41.x86_64.img $tuned_initrd")},
        "boot/vmlinuz-6.11.4-301.fc41.x86_64", "boot/initramfs-6.11.4-301.fc41.x86_64.img",
        "boot/config-6.11.4-301.fc41.x86_64", "usr/sbin/busybox"),
    "Fedora, by its loader entry alone": Layout(
        "fedora", "ID=fedora\n", "6.11.4",
        {"boot/kernels/linux": "", "boot/kernels/main": "", "boot/kernels/early": "",
         f"boot/loader/entries/{MACHINE}-6.11.4.conf":
             entry("6.11.4", "/kernels/linux", "/kernels/early", "/kernels/main $tuned_initrd")},
        "boot/kernels/linux", "boot/kernels/main"),
    "Fedora with systemd-boot": Layout(
        "fedora", "ID=fedora\n", "6.11.4",
        {"etc/machine-id": f"{MACHINE}\n", **token(MACHINE, "6.11.4"),
         "usr/lib/modules/6.11.4/vmlinuz": ""},
        "usr/lib/modules/6.11.4/vmlinuz", f"boot/{MACHINE}/6.11.4/initrd"),
    "an entry token, on the EFI system partition": Layout(
        "fedora", "ID=fedora\n", "6.11.4",
        {"etc/machine-id": "uninitialized\n", "etc/kernel/entry-token": "fedora\n",
         **token("fedora", "6.11.4", boot="efi")},
        "efi/fedora/6.11.4/linux", "efi/fedora/6.11.4/initrd"),
    "an entry token that says so": Layout(
        "linux", "ID=plan9\n", "6.11.4",
        {"etc/machine-id": f"{MACHINE}\n", "etc/kernel/entry-token": "mine\n",
         "boot/mine/6.11.4/linux": "", f"boot/{MACHINE}/6.11.4/linux": "old",
         f"boot/{MACHINE}/6.11.4/initrd": "old"},
        "boot/mine/6.11.4/linux", f"boot/{MACHINE}/6.11.4/initrd"),
    "RHEL 9 for s390x": Layout(
        "rhel", 'ID="rhel"\nID_LIKE="fedora"\n', "5.14.0-503.el9.s390x",
        {"boot/vmlinuz-5.14.0-503.el9.s390x": "", "boot/initramfs-5.14.0-503.el9.s390x.img": "",
         "lib": "->usr/lib", "usr/lib/modules/5.14.0-503.el9.s390x/config": ""},
        "boot/vmlinuz-5.14.0-503.el9.s390x", "boot/initramfs-5.14.0-503.el9.s390x.img",
        "usr/lib/modules/5.14.0-503.el9.s390x/config"),
    "Amazon Linux 2023": Layout(
        "amazon", 'NAME="Amazon Linux"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n',
        "6.1.112-124.190.amzn2023.x86_64",
        {"boot/vmlinuz-6.1.112-124.190.amzn2023.x86_64": "",
         "boot/initramfs-6.1.112-124.190.amzn2023.x86_64.img": ""},
        "boot/vmlinuz-6.1.112-124.190.amzn2023.x86_64",
        "boot/initramfs-6.1.112-124.190.amzn2023.x86_64.img"),
    "SLES 15": Layout(
        "sles", 'NAME="SLES"\nID="sles"\nID_LIKE="suse"\n', VERSION,
        {f"boot/vmlinuz-{VERSION}": "", f"boot/initrd-{VERSION}": "", f"boot/config-{VERSION}": "",
         "boot/vmlinuz": f"->vmlinuz-{VERSION}", "boot/initrd": f"->initrd-{VERSION}",
         f"boot/initrd-{VERSION}-kdump": "kdump's own", "usr/bin/busybox": "",
         f"lib/modules/{VERSION}/modules.dep": ""},
        f"boot/vmlinuz-{VERSION}", f"boot/initrd-{VERSION}", f"boot/config-{VERSION}",
        "usr/bin/busybox"),
    "SLES for s390x": Layout(
        "sles", 'ID="sles"\n', VERSION,
        {f"boot/image-{VERSION}": "", f"boot/initrd-{VERSION}": ""},
        f"boot/image-{VERSION}", f"boot/initrd-{VERSION}"),
    "Leap for arm64": Layout(
        "opensuse-leap", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', VERSION,
        {f"boot/Image-{VERSION}": "", f"boot/initrd-{VERSION}": "",
         f"boot/vmlinux-{VERSION}.gz": "for debuggers"},
        f"boot/Image-{VERSION}", f"boot/initrd-{VERSION}"),
    "Tumbleweed": Layout(
        "opensuse-tumbleweed", 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', VERSION,
        {f"usr/lib/modules/{VERSION}/vmlinuz": "", f"usr/lib/modules/{VERSION}/config": "",
         f"boot/vmlinuz-{VERSION}": f"->../usr/lib/modules/{VERSION}/vmlinuz",
         "lib": "->usr/lib", f"boot/initrd-{VERSION}": ""},
        f"usr/lib/modules/{VERSION}/vmlinuz", f"boot/initrd-{VERSION}",
        f"usr/lib/modules/{VERSION}/config"),
    "Tumbleweed with systemd-boot": Layout(
        "opensuse-tumbleweed", 'ID="opensuse-tumbleweed"\n', VERSION,
        {f"usr/lib/modules/{VERSION}/Image": "",
         f"boot/efi/opensuse-tumbleweed/{VERSION}/initrd-a": "of snapshot 9",
         f"boot/efi/opensuse-tumbleweed/{VERSION}/initrd-b": "of snapshot 10",
         **{f"boot/efi/loader/entries/opensuse-tumbleweed-{VERSION}-{number}.conf":
            entry(f"{number}@{VERSION}", f"/opensuse-tumbleweed/{VERSION}/linux-c",
                  f"/opensuse-tumbleweed/{VERSION}/initrd-{name}")
            for number, name in ((9, "a"), (10, "b"))}},
        f"usr/lib/modules/{VERSION}/Image", f"boot/efi/opensuse-tumbleweed/{VERSION}/initrd-b"),
    "Arch Linux": Layout(
        "arch", 'NAME="Arch Linux"\nID=arch\n', "6.12.1-arch1-1",
        {"usr/lib/modules/6.12.1-arch1-1/vmlinuz": "", "boot/vmlinuz-linux": "",
         "usr/lib/modules/6.12.1-arch1-1/pkgbase": "linux\n", "lib": "->usr/lib",
         "boot/initramfs-linux.img": "", "boot/initramfs-linux-fallback.img": "",
         "boot/initramfs-linux-lts.img": "of another", "usr/lib/initcpio/busybox": "",
         "usr/lib/modules/6.12.1-arch1-1/build/.config": ""},
        "usr/lib/modules/6.12.1-arch1-1/vmlinuz", "boot/initramfs-linux.img",
        "usr/lib/modules/6.12.1-arch1-1/build/.config", "usr/lib/initcpio/busybox"),
    "Manjaro": Layout(
        "arch", "ID=manjaro\nID_LIKE=arch\n", "6.12.1-4-MANJARO",
        {"usr/lib/modules/6.12.1-4-MANJARO/pkgbase": "linux612\n",
         "usr/lib/modules/6.12.1-4-MANJARO/kernelbase": "6.12-x86_64\n",
         "boot/vmlinuz-6.12-x86_64": "", "boot/initramfs-6.12-x86_64.img": ""},
        "boot/vmlinuz-6.12-x86_64", "boot/initramfs-6.12-x86_64.img"),
}  # fmt: skip


def build(root: Path, layout: Layout) -> Path:
    """Make the files; the kernel's modules directory is always there."""
    files = {"etc/os-release": layout.os_release, **layout.files}
    # A link to a folder has to come before what is in it.
    for name, text in sorted(files.items(), key=lambda item: not item[1].startswith("->")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            (path.parent / text[2:]).mkdir(parents=True, exist_ok=True) if name in (
                "lib", "bin") else None  # fmt: skip
            path.symlink_to(text[2:])
        else:
            path.write_text(text)
    (root / "usr/lib/modules" / layout.release).mkdir(parents=True, exist_ok=True)
    return root


def detect(root: Path) -> Distro:
    return profiles.detect(Root(root), search_path=search_path("distros", root=Root(root)))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_what_is_found(tmp_path: Path, layout: Layout) -> None:
    root = build(tmp_path, layout)
    profile = detect(root)
    assert profile.id == layout.profile
    names = {"image": layout.image, "initrd": layout.initrd, "config": layout.config}
    for key, wanted in names.items():
        found = releases.first(
            getattr(profile.kernel, key), root=Root(root), release=layout.release
        )
        assert found == (root / wanted if wanted else None), key
    release = releases.find(layout.release, root=Root(root), layout=profile.kernel)
    assert release.image == root / layout.image
    assert release.modules is not None
    assert release.modules.name == layout.release
    busybox = [name for name in profile.tools.busybox if (root / name).exists()]
    assert busybox[:1] == [layout.busybox] * bool(layout.busybox)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_nothing_is_found_of_another_release(tmp_path: Path, layout: Layout) -> None:
    root = build(tmp_path, layout)
    layouts = detect(root).kernel
    for patterns in (layouts.image, layouts.initrd, layouts.config, layouts.modules):
        assert releases.first(patterns, root=Root(root), release="6.9.9") is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ID=debian\n", "debian"),
        ('ID=ubuntu\nID_LIKE="debian"\n', "ubuntu"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "ubuntu"),
        ("ID=raspbian\nID_LIKE=debian\n", "debian"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "rocky"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\n', "almalinux"),
        ('ID="centos"\nID_LIKE="rhel fedora"\n', "centos"),
        ('ID="eurolinux"\nID_LIKE="rhel fedora centos"\n', "rhel"),
        ('ID="ol"\nID_LIKE="fedora"\n', "redhat"),
        ('ID="amzn"\nID_LIKE="centos rhel fedora"\n', "amazon"),
        ('ID="sled"\nID_LIKE="suse"\n', "sles"),
        ('ID="sles_sap"\nID_LIKE="suse"\n', "sles"),
        ("ID='opensuse-leap'\nID_LIKE='suse opensuse'\n", "opensuse-leap"),
        ("ID='opensuse-microos'\nID_LIKE='suse opensuse'\n", "opensuse-tumbleweed"),
        ("ID='sl-micro'\nID_LIKE='suse'\n", "suse"),
        ("ID=endeavouros\nID_LIKE=arch\n", "arch"),
        ("ID=plan9\n", "linux"),
        ("ID=../debian\n", "linux"),
        ("# nothing\nID='unbalanced\n", "linux"),
        ("", "linux"),
    ],
)
def test_detected_from_os_release(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(text)
    assert detect(tmp_path).id == wanted


@pytest.mark.parametrize(
    ("text", "files", "wanted", "peer"),
    [
        ('ID="openEuler"\n', ["etc/kdump.conf", "etc/sysconfig/kdump"], "redhat", "kdump-utils"),
        ("ID=azurelinux\n", ["etc/kdump.conf"], "redhat", "kdump-utils"),
        ("ID=photon\n", ["etc/kdump.conf"], "redhat", "kdump-utils"),
        ('ID="kylin"\n', ["etc/kdump.conf"], "redhat", "kdump-utils"),
        ("", ["etc/kdump.conf"], "redhat", "kdump-utils"),
        ("ID=x\n", ["etc/default/kdump-tools"], "debian", "kdump-tools"),
        ("ID=x\n", ["etc/sysconfig/kdump"], "suse", "suse-kdump"),
    ],
)
def test_an_unknown_id_is_known_by_its_file(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    text: str,
    files: list[str],
    wanted: str,
    peer: str,
) -> None:
    for name in ("etc/os-release", *files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text if name == "etc/os-release" else "")
    with caplog.at_level(logging.INFO, logger="kdump-initrd"):
        found = detect(tmp_path)
    assert (found.id, found.config.peer, found.dump.codecs) == (wanted, peer, ("zlib",))
    assert f"treated like {wanted} because of /{files[0]}" in caplog.text


def test_a_file_does_not_make_another_distribution_of_a_known_one(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/kdump.conf").touch()
    (tmp_path / "etc/os-release").write_text("ID=arch\n")
    assert detect(tmp_path).id == "arch"


def test_an_id_of_the_administrators_profile(tmp_path: Path) -> None:
    """It comes before the package's; the package's own IDs still lead to an overridden one."""
    own = tmp_path / "etc/kdump-initrd/distros"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text('inherits = "debian"\nname = "Mine"\nids = ["mines", "ol"]\n')
    (own / "amazon.toml").write_text('name = "Ours"\n')
    for name, wanted in {"mine": "Mine", "mines": "Mine", "ol": "Mine", "amzn": "Ours"}.items():
        (tmp_path / "etc/os-release").write_text(f"ID={name}\n")
        assert detect(tmp_path).name == wanted


@pytest.mark.parametrize(
    ("files", "pattern", "wanted"),
    [
        ({}, "boot/x-{release}", ["boot/x-6.1"]),
        ({}, "a/{release}/{release}", ["a/6.1/6.1"]),
        ({}, "{pkgbase}", []),
        ({}, "{entry_token}/{pkgbase}", []),
        ({"usr/lib/modules/6.1/pkgbase": "linux"}, "{pkgbase}-{release}", ["linux-6.1"]),
        # Nothing that would lead elsewhere is taken for a name.
        ({"usr/lib/modules/6.1/pkgbase": "../x"}, "{pkgbase}", []),
        ({"usr/lib/modules/6.1/pkgbase": "\n\n"}, "{pkgbase}", []),
        ({"usr/lib/modules/6.1/pkgbase": "{release}"}, "{pkgbase}", ["{release}"]),
        ({"etc/kernel/entry-token": "..", "etc/machine-id": "x"}, "{entry_token}", []),
        ({"etc/kernel/entry-token": "t", "etc/machine-id": MACHINE,
          "etc/os-release": "ID=t\nIMAGE_ID=i\n"}, "{entry_token}", ["t", MACHINE, "i"]),
        ({"boot/loader/entries/x-6.1.conf": "title only\n"}, "{loader_linux}", []),
        ({"boot/loader/entries/x-6.1+3-1.conf": "linux /k\n"}, "{loader_linux}", ["boot/k", "k"]),
        ({"boot/loader/entries/x-6.1.conf": "linux /k\nversion 6.2\n"}, "{loader_linux}", []),
        ({"boot/loader/entries/x-6.1.conf": "initrd $tuned\n"}, "{loader_initrd}", []),
        # ostree's: a number for a version, and the release in the files' names alone.
        ({"boot/loader/entries/ostree-2-fedora.conf":
          "version 2\nlinux /ostree/f-1/vmlinuz-6.1\ninitrd /ostree/f-1/initramfs-6.1.img\n"},
         "{loader_initrd}",
         ["boot/ostree/f-1/initramfs-6.1.img", "ostree/f-1/initramfs-6.1.img"]),
        ({"efi/loader/entries/mine.conf": "linux /t/6.1/linux\ninitrd /t/6.1/initrd\n"},
         "{loader_initrd}", ["efi/t/6.1/initrd", "t/6.1/initrd"]),
        ({"boot/loader/entries/ostree-1.conf": "version 1\nlinux /vmlinuz-16.1\ninitrd /i\n"},
         "{loader_initrd}", []),
    ],
)  # fmt: skip
def test_placeholders(
    tmp_path: Path, files: dict[str, str], pattern: str, wanted: list[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(placeholder.expand(pattern, root=Root(tmp_path), release="6.1")) == wanted


@pytest.mark.parametrize(("release", "wanted"), [("6.1", "efi/initramfs-linux.img"), ("6.2", "")])
def test_an_entry_whose_kernel_tells_its_release(tmp_path: Path, release: str, wanted: str) -> None:
    """As Arch Linux with its EFI system partition in /efi: no name has the release."""
    folder = tmp_path / "efi/loader/entries"
    folder.mkdir(parents=True)
    (folder / "arch.conf").write_text("linux /vmlinuz-linux\ninitrd /initramfs-linux.img\n")
    (tmp_path / "efi/vmlinuz-linux").write_bytes(bzimage("6.1"))
    (tmp_path / "efi/initramfs-linux.img").touch()
    found = releases.first(("{loader_initrd}",), root=Root(tmp_path), release=release)
    assert found == (tmp_path / wanted if wanted else None)


def test_an_entry_does_not_lead_out_of_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "root/boot/loader/entries"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (folder / "x-6.1.conf").write_text("linux ../../../secret\n")
    patterns = ("{loader_linux}",)
    assert releases.first(patterns, root=Root(tmp_path / "root"), release="6.1") is None
