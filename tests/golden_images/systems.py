# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of systems: one for each profile, and together every layout that a root may have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..unit.initrdwriter import DRACUT, DRACUT_VAR, INITRAMFS_TOOLS, Item
from ..unit.mkinitcpioinitrds import BUSYBOX as MKINITCPIO
from ..unit.mkinitcpioinitrds import SYSTEMD as MKINITCPIO_SYSTEMD


@dataclass(frozen=True)
class Layout:
    """Where a root keeps things, without leading slashes.

    ``merged`` says that /bin, /sbin and /lib* are links into /usr, ``one_bin`` that /usr/sbin is
    a link to bin. ``libraries`` is the folder of the C library below / or /usr, ``python`` the
    one that has python3.N.
    """

    merged: bool
    libraries: str
    python: str
    one_bin: bool = False


DEBIAN = Layout(True, "lib/x86_64-linux-gnu", "lib")
LIB64 = Layout(True, "lib64", "lib64")
ONE_BIN = Layout(True, "lib64", "lib64", one_bin=True)
#: As SLES 15, Leap 15 and every older distribution: nothing is merged into /usr.
SPLIT = Layout(False, "lib64", "lib64")
PLAIN_LIB = Layout(True, "lib", "lib", one_bin=True)


@dataclass(frozen=True)
class System:
    """A root: what its distribution has, as far as an image takes notice of it.

    ``kernel`` and ``config`` are paths, ``config`` "" for none; ``modules`` is the suffix that
    the modules are packed with; without ``index`` modules.dep is missing; ``zstd`` says whether
    the kernel unpacks an initrd of that. ``python`` is N of python3.N. ``busybox`` is a path,
    "" where the root has bash, coreutils and util-linux only; ``static`` is how that is linked.
    ``base`` are the members of its initrd at ``initrd``; without it there is none. ``whole`` asks
    for a whole initrd beside the appended one.
    """

    profile: str
    os_release: str
    release: str
    layout: Layout
    kernel: str
    config: str
    initrd: str
    base: tuple[Item, ...]
    modules: str
    python: int
    fstype: str
    libraries: tuple[str, ...]
    busybox: str = ""
    static: bool = True
    dash: bool = False
    index: bool = True
    zstd: bool = True
    built_in: tuple[str, ...] = ()
    aarch64: bool = False
    whole: bool = False
    files: tuple[tuple[str, str], ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of image that are made of it."""
        return ("capture", "first-kernel", *(["whole"] if self.whole else []))

    @property
    def machine(self) -> str:
        """The architecture, as uname says it."""
        return "aarch64" if self.aarch64 else "x86_64"


_RHEL9 = "5.14.0-503.11.1.el9_5.x86_64"
_ORACLE = "5.15.0-302.167.6.el9uek.x86_64"
_SUSE = "6.4.0-150600.23.25-default"
_MICRO = "6.4.0-24-default"
_LZO, _SNAPPY, _ZSTD, _ZLIB = "liblzo2.so.2", "libsnappy.so.1", "libzstd.so.1", "libz.so.1"


def _redhat(profile: str, os_release: str, release: str) -> System:
    """Return a system as Red Hat's family has it."""
    return System(
        profile, os_release, release, LIB64,
        kernel=f"boot/vmlinuz-{release}", config=f"boot/config-{release}",
        initrd=f"boot/initramfs-{release}.img", base=DRACUT, modules=".xz", python=9,
        fstype="xfs", libraries=(_LZO, _ZLIB),
    )  # fmt: skip


def _suse(profile: str, os_release: str, release: str) -> System:
    """Return a system as SUSE's family has it."""
    return System(
        profile, os_release, release, SPLIT,
        kernel=f"boot/vmlinuz-{release}", config=f"boot/config-{release}",
        initrd=f"boot/initrd-{release}", base=DRACUT, modules=".zst", python=11,
        fstype="btrfs", libraries=(_LZO, _SNAPPY, _ZLIB),
    )  # fmt: skip


_EL9 = 'NAME="{}"\nID="{}"\nID_LIKE="rhel centos fedora"\n'
_ARCH = "6.12.1-arch1-1"
_DEB = "6.1.0-28-amd64"
_UBUNTU = "6.8.0-49-generic"
_UNKNOWN = "6.6.63"
_TUMBLEWEED = "6.12.0-1-default"
_FEDORA = "6.11.10-300.fc41.x86_64"
_AMAZON = "6.1.115-126.197.amzn2023.aarch64"
SYSTEMS = (
    System(
        "debian", 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n', _DEB, DEBIAN,
        kernel=f"boot/vmlinuz-{_DEB}", config=f"boot/config-{_DEB}",
        initrd=f"boot/initrd.img-{_DEB}", base=INITRAMFS_TOOLS, modules="", python=11,
        fstype="ext4", libraries=(_LZO, _ZLIB), busybox="bin/busybox", dash=True, whole=True,
    ),
    System(
        "ubuntu", 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', _UBUNTU,
        DEBIAN, kernel=f"boot/vmlinuz-{_UBUNTU}", config=f"boot/config-{_UBUNTU}",
        initrd=f"boot/initrd.img-{_UBUNTU}", base=INITRAMFS_TOOLS, modules=".zst", python=12,
        fstype="ext4", libraries=(_LZO, _ZSTD, _ZLIB), dash=True, static=False,
        busybox="usr/lib/initramfs-tools/bin/busybox", built_in=("ext4", "jbd2", "crc16"),
    ),
    replace(
        _redhat("fedora", 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=41\n', _FEDORA),
        layout=ONE_BIN, kernel=f"usr/lib/modules/{_FEDORA}/vmlinuz",
        config=f"usr/lib/modules/{_FEDORA}/config", base=DRACUT_VAR, python=13, fstype="ext4",
        libraries=(_LZO, _SNAPPY, _ZSTD, _ZLIB), whole=True,
        built_in=("virtio", "virtio_ring", "virtio_pci", "ext4", "jbd2", "crc16"),
    ),
    replace(
        _redhat("redhat", 'NAME="Oracle Linux Server"\nID="ol"\nID_LIKE="fedora"\n', _ORACLE),
        busybox="usr/sbin/busybox",
    ),
    replace(
        _redhat("rhel", 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\n', _RHEL9),
        libraries=(_SNAPPY, _ZLIB), zstd=False,
    ),
    replace(
        _redhat("centos", 'NAME="CentOS Stream"\nID="centos"\nID_LIKE="rhel fedora"\n', _RHEL9),
        python=12,
    ),
    _redhat("rocky", _EL9.format("Rocky Linux", "rocky"), _RHEL9),
    _redhat("almalinux", _EL9.format("AlmaLinux", "almalinux"), _RHEL9),
    replace(
        _redhat("amazon", 'NAME="Amazon Linux"\nID="amzn"\nID_LIKE="fedora"\n', _AMAZON),
        modules="", aarch64=True,
    ),
    replace(
        _suse("sles", 'NAME="SLES"\nVERSION="15-SP6"\nID="sles"\nID_LIKE="suse"\n', _SUSE),
        whole=True,
    ),
    replace(
        _suse(
            "opensuse-leap",
            'NAME="openSUSE Leap"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\n', _SUSE,
        ),
        busybox="usr/bin/busybox", static=False, fstype="ext4",
    ),
    replace(
        _suse(
            "opensuse-tumbleweed",
            'NAME="openSUSE Tumbleweed"\nID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n',
            _TUMBLEWEED,
        ),
        layout=LIB64, kernel=f"usr/lib/modules/{_TUMBLEWEED}/vmlinuz", python=13,
        config=f"usr/lib/modules/{_TUMBLEWEED}/config", base=DRACUT_VAR,
        libraries=(_LZO, _SNAPPY, _ZSTD, _ZLIB),
    ),
    replace(
        _suse("suse", 'NAME="SL-Micro"\nID="sl-micro"\nID_LIKE="suse"\n', _MICRO),
        layout=LIB64, kernel=f"usr/lib/modules/{_MICRO}/vmlinuz", config="", libraries=(_ZLIB,),
        fstype="xfs",
    ),
    System(
        "arch", 'NAME="Arch Linux"\nID=arch\n', _ARCH, PLAIN_LIB,
        kernel=f"usr/lib/modules/{_ARCH}/vmlinuz", config=f"usr/lib/modules/{_ARCH}/build/.config",
        initrd="boot/initramfs-linux.img", base=MKINITCPIO_SYSTEMD, modules=".zst", python=12,
        fstype="ext4", libraries=(_ZSTD, _ZLIB), busybox="usr/lib/initcpio/busybox", static=False,
        files=((f"usr/lib/modules/{_ARCH}/pkgbase", "linux\n"),),
    ),
    System(
        "linux", "NAME=Unheard-of\nID=unheard-of\n", _UNKNOWN, SPLIT,
        kernel=f"boot/vmlinuz-{_UNKNOWN}", config="", initrd=f"boot/initramfs-{_UNKNOWN}.img",
        base=MKINITCPIO, modules=".gz", index=False, python=10, fstype="ext4",
        libraries=(_ZLIB,), busybox="bin/busybox", whole=True,
    ),
)  # fmt: skip
#: Whose raw copy is to be tried: each way of naming dumps, and a root without busybox.
WITHOUT_SAVER = ("debian", "redhat", "opensuse-leap", "fedora")
#: Whose machine is not to restart: with busybox, and without.
STUCK = ("debian", "fedora")
