# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole Debian system for the machine: its root folder from debootstrap, and disks with it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import Result, run

from .cached import cache, making
from .disks import Disk
from .kernels import Kernel, newest
from .suites import mirror
from .tools import tool

#: Of the root file system; none of the dump disk's.
UUID = "0b5e6f4e-8a53-4c3d-9a57-7d8a3f6c1e02"
LABEL = "debian-root"
PARTUUID = "5d0c8f72-16ab-4f0e-8d5b-c2f4a9e7b603"
PARTLABEL = "debian-root-part"

SUITE = "bookworm"
_PACKAGES = (
    "systemd-sysv,udev,kmod,initramfs-tools,dracut-core,busybox,klibc-utils,zstd,e2fsprogs,lvm2,"
    "mdadm,kexec-tools,dbus,fdisk,python3,liblzo2-2,linux-image-amd64"
)
#: What a machine that lives for a minute has no use for, and emulation makes slow.
_MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "logrotate.timer"),
    *("man-db.timer", "systemd-tmpfiles-clean.timer"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "proc-sys-fs-binfmt_misc.automount"),
    *("sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount"),
    *("sys-kernel-tracing.mount", "modprobe@.service", "systemd-binfmt.service"),
    *("systemd-pstore.service", "systemd-random-seed.service", "systemd-timesyncd.service"),
    *("systemd-journal-flush.service", "systemd-logind.service", "getty@tty1.service"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service"),
    *("lvm2-monitor.service", "blk-availability.service", "mdadm-shutdown.service"),
)
#: Each looks for what is not there.
_GENERATORS = tuple(
    f"systemd-{name}-generator"
    for name in ("cryptsetup", "debug", "gpt-auto", "hibernate-resume", "integritysetup",
                 "rc-local", "run", "system-update", "sysv", "veritysetup")
)  # fmt: skip
#: Files for the guest, and the script that enters a root.
GUEST = Path(__file__).parent / "guest"
_UNIT = "etc/systemd/system"
_FILES = {
    "etc/hostname": "crashbox\n",
    "etc/hosts": "127.0.0.1 localhost crashbox\n",
    "etc/fstab": f"UUID={UUID} / ext4 errors=remount-ro 0 1\n",
    "etc/machine-id": "5d3a1c0ffee04be1a2b3c4d5e6f70819\n",
    f"{_UNIT}/kdump-test.service": (GUEST / "kdump-test.service").read_text(),
    "usr/local/sbin/kdump-test": (GUEST / "kdump-test").read_text(),
}
#: What silences both lists.
SILENT = {
    **{f"{_UNIT}/{unit}": "/dev/null" for unit in _MASKED},
    **{f"etc/systemd/system-generators/{name}": "/dev/null" for name in _GENERATORS},
}
_LINKS = {
    f"{_UNIT}/multi-user.target.wants/kdump-test.service": "../kdump-test.service",
    **SILENT,
}
_MIB = 1 << 20
_DISK_MIB = 3072


def digest(*recipe: object) -> str:
    """Return a short name for what is made by a recipe: another recipe is never taken for it."""
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Root:
    """The folder of a Debian root, and the cache folder that has everything made with it."""

    path: Path
    home: Path

    @property
    def kernel(self) -> Kernel:
        """The root's own kernel."""
        return newest(self.path)

    def enter(self, argv: Sequence[str | Path], *, out: Path, timeout: float) -> Result:
        """Run a program in the root; it has the host's folder ``out`` as /mnt.

        Raises KdumpInitrdError as run does. Nothing stays mounted, and no process is left.
        """
        return _enter(self.path, argv, out=out, timeout=timeout)

    def enter_disk(self, argv: Sequence[str | Path], *, out: Path, timeout: float) -> Result:
        """As enter, in the root's disk image: / is a block device then, and cannot be written."""
        return _enter(image(self), argv, out=out, timeout=timeout)


def isolated() -> list[str | Path]:
    """Return the words before a program that is to have mount and PID namespaces of its own."""
    # With the process dies everything that it mounted and started.
    return [tool("unshare"), "--mount", "--pid", "--fork", "--kill-child"]


def _enter(root: Path, argv: Sequence[str | Path], *, out: Path, timeout: float) -> Result:
    return run([*isolated(), GUEST / "enter", root, out, *argv], timeout=timeout)


def bootstrapped(packages: str, *, prefix: str) -> Root:
    """Return the Debian root of the cache with these packages, made by debootstrap if missing.

    Raises KdumpInitrdError or MissingTool.
    """
    home = cache() / f"{prefix}-{digest(SUITE, packages)}"
    root = Root(home / "root", home)
    with making(root.path) as missing:
        if missing:
            _bootstrap(root.path, packages)
    return root


def _bootstrap(target: Path, packages: str) -> None:
    # Made beside its place and renamed: half a root is never used.
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    argv = [*isolated(), tool("debootstrap"), "--variant=minbase", f"--include={packages}"]
    run([*argv, SUITE, fresh, mirror()], timeout=900)
    for package in (fresh / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()
    fresh.rename(target)


def dress(root: Path, files: Mapping[str, str], links: Mapping[str, str]) -> None:
    """Put files and links into a root, and let its administrator in without a password."""
    for name, text in files.items():
        _put(root / name, text, mode=0o755 if "/sbin/" in name else 0o644)
    for name, target in links.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        if not (path.is_symlink() and str(path.readlink()) == target):
            path.unlink(missing_ok=True)
            path.symlink_to(target)
    shadow = root / "etc/shadow"
    lines = shadow.read_text().splitlines()
    text = "".join(f"{line.replace('root:*:', 'root::', 1)}\n" for line in lines)
    _put(shadow, text, mode=0o640)


def _put(path: Path, text: str, *, mode: int) -> None:
    # Another run may be reading it.
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)


def debian() -> Root:
    """Return the Debian root of the cache, made by debootstrap if it is not there (75 s).

    Raises KdumpInitrdError, MissingTool or NoKernel.
    """
    root = bootstrapped(_PACKAGES, prefix="debian")
    with making(root.home / "dressed"):  # never there: only the lock is wanted
        dress(root.path, _FILES, _LINKS)
    return root


def image(root: Root) -> Path:
    """Return the cache's sparse ext4 of UUID and LABEL with the root in it; not to be written."""
    target = root.home / f"root-{digest(_FILES, _LINKS, UUID, LABEL, _DISK_MIB)}.ext4"
    with making(target) as missing:
        if missing:
            for old in root.home.glob("root-*"):
                old.unlink()
            new = target.with_suffix(".new")
            argv = ["mkfs.ext4", "-q", "-U", UUID, "-L", LABEL, "-d", str(root.path)]
            run([*argv, new, f"{_DISK_MIB}m"], timeout=300)
            new.rename(target)
    return target


def disk(root: Root, target: Path, *, partitioned: bool = False) -> Disk:
    """Copy the root's image to ``target``; with ``partitioned`` as the first of a GPT.

    The partition has PARTUUID and PARTLABEL.
    """
    target.unlink(missing_ok=True)
    source = image(root)
    if not partitioned:
        run(["cp", "--sparse=always", "--reflink=auto", source, target], timeout=120)
        return Disk(target)
    with target.open("wb") as out:
        out.truncate(source.stat().st_size + 2 * _MIB)
    table = (
        "label: gpt\n"
        f"start={_MIB // 512}, size={source.stat().st_size // 512}, type=linux, "
        f"uuid={PARTUUID}, name={PARTLABEL}\n"
    )
    run(["sfdisk", "-q", target], timeout=30, stdin=table.encode())
    argv = ["dd", f"if={source}", f"of={target}", "bs=1M", "seek=1", "conv=sparse,notrunc"]
    run(argv, timeout=120)
    return Disk(target, _MIB)
