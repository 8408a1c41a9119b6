# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of a capture initrd, on this machine's own kernel: what is in it, what is refused."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.host import sysfs
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.saver.params import Params
from kdump_initrd.targets import block
from kdump_initrd.targets.blockdevice import BlockDevice

from .captureimage import build, unpack
from .commandline import CAPTURE, UUID, complain
from .thiskernel import RELEASE

LZO = "lib/x86_64-linux-gnu/liblzo2.so.2"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("image") / "kdump.img")


@pytest.fixture(scope="module")
def tree(image: Path) -> Path:
    return unpack(image, image.parent / "tree")


def test_unpacks_with_cpio(tree: Path) -> None:
    for name in ("init", "usr/bin/busybox", "usr/bin/python3", "usr/lib/kdump-initrd/python.zip"):
        assert (tree / name).exists(), name
    assert os.access(tree / "init", os.X_OK)
    assert (tree / "bin").is_symlink()
    assert stat.S_ISCHR((tree / "dev/console").stat().st_mode) or os.getuid() != 0


def test_mode_and_manifest(image: Path) -> None:
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    manifest = read_manifest(image)
    assert manifest is not None
    assert (manifest.kind, manifest.kernel, manifest.target) == ("capture", RELEASE, UUID)
    assert "panic=10" in manifest.cmdline.split()
    assert manifest.modules[-1] == "ext4"


def test_no_libcrypto_and_one_codec(tree: Path) -> None:
    names = {path.name for path in tree.rglob("*.so*")}
    assert not [name for name in names if "crypto" in name or "ssl" in name]
    assert [name for name in names if re.match(r"lib(lzo2|snappy|zstd|deflate)\.", name)] == [
        "liblzo2.so.2"
    ]


def test_params_are_the_contract(tree: Path) -> None:
    text = (tree / "etc/kdump-initrd/params.json").read_text()
    params = Params.from_json(text)
    assert (params.dump.compress, params.targets[0].path) == ("lzo", "/kdump/var/crash")


def test_names_that_clash_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "clash.toml"
    mine.write_text('inherits = "debian"\nname = "x"\n[dump]\ndump = "a"\ndmesg = "a"\n')
    shipped = profiles.load(
        "clash", search_path=(tmp_path, *search_path("distros", root=Root())), root=Root()
    )
    monkeypatch.setattr(profiles, "load", lambda *_, **__: shipped)
    argv = [*CAPTURE, "--distro", "clash", "-o", str(tmp_path / "x.img"), RELEASE]
    status, error, hint = complain(capsys, *argv)
    assert status == 1
    assert error == "dmesg: another file of the crash has that name on ext4: a"
    assert hint == "mkinitrd-kdump --show-distro clash shows where file names come from"
    assert not (tmp_path / "x.img").exists()


def test_listed_modules_are_there(tree: Path) -> None:
    lines = (tree / "etc/kdump-initrd/modules").read_text().splitlines()
    assert lines
    for line in lines:
        assert (tree / line.split()[0].lstrip("/")).is_file()


def test_saver_starts_in_the_image(tree: Path) -> None:
    """The interpreter, its libraries and modules are complete: run them, and nothing else."""
    done = subprocess.run(
        ["chroot", tree, "/usr/lib/kdump-initrd/python", "__main__", "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--dump.level" in done.stdout + done.stderr


def test_two_builds_are_identical(image: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "again.img").read_bytes() == image.read_bytes()


def test_source_date_epoch_is_the_time_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    image = build(tmp_path / "x.img", "--compress", "none")
    listing = subprocess.run(
        ["cpio", "-itv", "--quiet"], input=image.read_bytes(), capture_output=True, check=True
    ).stdout.decode()
    times = set(re.findall(r"[A-Z][a-z][a-z] +\d+ +1970", listing))
    assert len(times) == 1
    assert len(listing.splitlines()) > 50


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
def test_print_cmdline(tmp_path: Path, capsys: pytest.CaptureFixture[str], codec: str) -> None:
    image = build(tmp_path / "x.img", "--compress", codec)
    capsys.readouterr()
    assert main(["--print-cmdline", str(image)]) == 0
    words = capsys.readouterr().out.split()
    assert {"panic=10", "nr_cpus=1", "reset_devices"} <= set(words)


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "x.img", "--dry-run")
    out = capsys.readouterr().out
    assert "usr/bin/busybox  # shell and tools" in out
    assert list(tmp_path.iterdir()) == []


def test_list_says_why(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", str(image)]) == 0
    out = capsys.readouterr().out
    assert "fs/ext4/ext4.ko  # dump file system ext4" in out
    assert "liblzo2.so.2" in out


def test_without_busybox(tmp_path: Path) -> None:
    tree = unpack(build(tmp_path / "x.img", "--tools", "root"), tmp_path / "tree")
    assert not (tree / "usr/bin/busybox").exists()
    for name in ("mount", "umount", "findfs", "timeout", "sync"):
        assert (tree / f"usr/sbin/{name}").is_file()
    assert not [path for path in tree.rglob("*") if "systemctl" in path.name]
    done = subprocess.run(
        ["chroot", tree, "/bin/sh", "-c", "timeout 5 mount --version && findfs --version"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_records_of_pstore_are_left_alone(tmp_path: Path) -> None:
    """No image for all hardware has a driver for them, and nothing in it looks for them."""
    image = build(tmp_path / "x.img", "--hardware", "generic")
    manifest = read_manifest(image)
    assert manifest is not None
    backends = ("ramoops", "pstore", "pstore_blk", "pstore_zone", "efi_pstore", "mtdpstore", "erst")
    assert not {*backends, "efivarfs"} & set(manifest.modules)
    tree = unpack(image, tmp_path / "tree")
    for path in (tree / "init", *(tree / "usr/lib/kdump-initrd").rglob("*")):
        if path.is_file():
            assert b"pstore" not in path.read_bytes(), path


def test_partition_tags_bring_a_better_findfs(tmp_path: Path) -> None:
    out = tmp_path / "x.img"
    argv = ["-c", "PARTUUID=3b0c9c1e-01", "-f", "ext4", "--hardware", "virtio", "-o", str(out)]
    assert main([*argv, RELEASE]) == 0
    tree = unpack(out, tmp_path / "tree")
    assert not (tree / "usr/sbin/findfs").is_symlink()
    assert list(tree.rglob("libblkid.so.1"))


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (["-f", "bcachefs"], "dump file system bcachefs: neither a module", "not know fs-bcachefs"),
        (["--add-module", "nope"], "--add-module nope: neither a module", "does not know nope"),
        (["--root", "/no/such"], "--root /no/such: no such directory", "mount"),
        (["--distro", "beos"], "beos: unknown distribution", "debian"),
        (["--hardware", "host"], f"{UUID}: not on this host", "--hardware generic"),
        (["--python", "/no/python3.11"], "/no/python3.11: no such Python in /", "--python"),
        (["-o", "/no/such/folder/x"], "/no/such/folder: No such file", "a writable folder"),
        (["-o", "/dev/null"], "/dev/null: exists already", "--force"),
        (["-o", "/dev/null", "--force"], "/dev/null: is not a regular file", "name of a file"),
    ],
)  # fmt: skip
def test_refused_with_a_hint(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
    hint: str,
) -> None:
    argv = [*CAPTURE, "-o", str(tmp_path / "x.img"), *options, RELEASE]
    status, error, advice = complain(capsys, *argv)
    assert status == 1
    assert message in error
    assert advice
    assert hint in advice
    assert list(tmp_path.iterdir()) == [], "something was written"


def test_unknown_kernel_lists_those_present(capsys: pytest.CaptureFixture[str]) -> None:
    status, error, hint = complain(capsys, *CAPTURE, "1.2.3")
    assert (status, error) == (1, "1.2.3: no such kernel in /")
    assert RELEASE in hint


def test_running_kernel_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = os.uname()
    running = os.uname_result((*names[:2], "9.9.9-cloud", *names[3:]))
    monkeypatch.setattr("os.uname", lambda: running)
    for words in (CAPTURE, [*CAPTURE, "-o", "/dev/null", "--force"]):
        status, error, hint = complain(capsys, *words)
        assert (status, error) == (1, "9.9.9-cloud: no such kernel in /")
        assert hint.startswith(
            "this is the running kernel; name another after the options; present:"
        )


def test_default_image_that_is_there_is_said_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.touch()
    monkeypatch.setattr(Root, "place", lambda root, name: there)
    monkeypatch.setattr(
        "kdump_initrd.recipes.capture.hooks.discover", lambda *_, **__: pytest.fail("worked")
    )
    assert complain(capsys, *CAPTURE, RELEASE)[:2] == (1, f"{there}: exists already")


def test_existing_image_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.img"
    out.write_text("precious")
    status, error, hint = complain(capsys, *CAPTURE, "-o", str(out), RELEASE)
    assert status == 1
    assert "x.img" in error
    assert "--force" in hint
    assert out.read_text() == "precious"
    build(out, "--force")
    assert out.stat().st_size > 1 << 20


def test_full_disk_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], check=True)
    try:
        status, error, _ = complain(capsys, *CAPTURE, "-o", str(small / "x.img"), RELEASE)
        assert status == 1
        assert "No space left on device" in error
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def foreign_root(root: Path, *, drop: str = "", config: tuple[str, str] = ("", "")) -> Path:
    """Make a root with all that an image needs, copied from this one; ``drop`` is left out."""
    names = [
        f"boot/config-{RELEASE}", "etc/os-release", "usr/bin/busybox", "usr/bin/python3.11",
        f"lib/modules/{RELEASE}", "usr/lib/python3.11",
    ]  # fmt: skip
    libraries = (
        "ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libz.so.1 libexpat.so.1 libffi.so.8 liblzo2.so.2"
    )
    names += [f"lib/x86_64-linux-gnu/{name}" for name in libraries.split()]
    names += ["lib64/ld-linux-x86-64.so.2"]
    for name in names:
        if name == drop:
            continue
        dest = root / name
        dest.parent.mkdir(parents=True, exist_ok=True)
        source = Path("/", name).resolve()
        if source.is_dir():
            shutil.copytree(source, dest, symlinks=True, copy_function=os.link)
        else:
            shutil.copy(source, dest)
    (root / "usr/bin/python3").symlink_to("python3.11")
    path = root / f"boot/config-{RELEASE}"
    if path.exists():
        path.write_text(path.read_text(encoding="utf-8").replace(*config))
    return root


def listing_of(root: Path) -> list[tuple[str, int, int]]:
    """Return what would show that a root was changed."""
    return sorted((str(p), p.lstat().st_size, p.lstat().st_mtime_ns) for p in root.rglob("*"))


def test_foreign_root_is_used_and_left_alone(tmp_path: Path) -> None:
    root = foreign_root(tmp_path / "root")
    before = listing_of(root)
    image = build(tmp_path / "x.img", "--root", str(root))
    assert listing_of(root) == before
    # It is not merged: /lib and /usr/lib are two folders there.
    tree = unpack(image, tmp_path / "tree")
    assert (tree / "lib64/ld-linux-x86-64.so.2").is_file()
    assert list(tree.rglob("liblzo2.so.2"))


@pytest.mark.parametrize(
    ("drop", "options", "message", "hint"),
    [
        ("usr/bin/busybox", [], "no shell for the image", "looked for"),
        ("usr/bin/busybox", ["--tools", "busybox"], "no busybox", "--tools root"),
        ("usr/bin/python3.11", [], "python3", "--python"),
        ("lib/x86_64-linux-gnu/libexpat.so.1", [], "libexpat.so.1: library not found", "package"),
        (LZO, ["--dump-compress", "lzo"], "liblzo2.so.2 not found", "install one"),
        (f"lib/modules/{RELEASE}", [], f"{RELEASE}: no such kernel", "present: none"),
    ],
)  # fmt: skip
def test_incomplete_root_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    drop: str,
    options: list[str],
    message: str,
    hint: str,
) -> None:
    root = foreign_root(tmp_path / "root", drop=drop)
    argv = [*CAPTURE, "--root", str(root), "-o", str(tmp_path / "x.img"), *options, RELEASE]
    status, error, advice = complain(capsys, *argv)
    assert status == 1
    assert message in error
    assert hint in advice
    assert not (tmp_path / "x.img").exists()


def test_auto_takes_the_codec_that_is_there(tmp_path: Path) -> None:
    root = foreign_root(tmp_path / "root", drop=LZO)
    tree = unpack(build(tmp_path / "x.img", "--root", str(root)), tmp_path / "tree")
    params = Params.from_json((tree / "etc/kdump-initrd/params.json").read_text())
    assert params.dump.compress == "zlib"
    assert not list(tree.rglob("libdeflate*"))
    name = "lib/x86_64-linux-gnu/libdeflate.so.0"
    shutil.copy(Path("/", name).resolve(), root / name)
    tree = unpack(build(tmp_path / "y.img", "--root", str(root)), tmp_path / "better")
    params = Params.from_json((tree / "etc/kdump-initrd/params.json").read_text())
    assert params.dump.compress == "zlib"
    assert (tree / name).is_file()


def test_a_codec_that_readers_do_not_open_is_taken_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = unpack(build(tmp_path / "x.img", "--dump-compress", "snappy"), tmp_path / "tree")
    assert [line for line in capsys.readouterr().err.splitlines() if "--dump-compress" in line] == [
        "kdump-initrd: warning: --dump-compress snappy: not every dump reader of Debian supports "
        "it: lzo, zlib are safe"
    ]
    params = Params.from_json((tree / "etc/kdump-initrd/params.json").read_text())
    assert params.dump.compress == "snappy"
    for name in ("libsnappy.so.1", "libstdc++.so.6"):
        assert list(tree.rglob(name)), name
    code = (
        "from kdump_initrd.saver.codec.opening import open_codec;"
        "print(open_codec('snappy', 4096).library)"
    )
    done = subprocess.run(
        ["chroot", tree, "/usr/bin/python3", "-S", "-s", "-B", "-c", code],
        env={**os.environ, "PYTHONHOME": "/usr", "PYTHONPATH": "/usr/lib/kdump-initrd/python.zip"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("libsnappy\n", 0), done.stderr


def test_kernel_that_cannot_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ("CONFIG_PROC_VMCORE=y", "# CONFIG_PROC_VMCORE is not set")
    root = foreign_root(tmp_path / "root", config=config)
    status, error, hint = complain(capsys, *CAPTURE, "--root", str(root), "-o", "x", RELEASE)
    assert status == 1
    assert error == f"{RELEASE}: built without CONFIG_PROC_VMCORE: it cannot be a capture kernel"
    assert hint == "use another kernel release"


def test_codec_follows_the_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ("CONFIG_RD_ZSTD=y", "# CONFIG_RD_ZSTD is not set")
    root = foreign_root(tmp_path / "root", config=config)
    argv = ["--root", str(root), "-o", str(tmp_path / "y.img")]
    status, error, hint = complain(capsys, *CAPTURE, *argv, "--compress", "zstd", RELEASE)
    assert (status, error) == (1, f"--compress zstd: {RELEASE} cannot unpack it")
    assert hint == "it is built without CONFIG_RD_ZSTD"
    image = build(tmp_path / "y.img", "--root", str(root))
    assert image.read_bytes().startswith(b"\xfd7zXZ"), "the next in order"


def test_verbose_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "x.img", "--verbose")
    assert "needed by" in capsys.readouterr().err


def test_root_may_be_relative_and_have_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign_root(tmp_path / "my root")
    monkeypatch.chdir(tmp_path)
    assert build(tmp_path / "x.img", "--root", "my root").stat().st_size > 1 << 20


def test_links_of_a_root_stay_in_it(tmp_path: Path) -> None:
    root = foreign_root(tmp_path / "root")
    (root / "usr/lib/os-release").write_text("ID=fedora\n")
    (root / "etc/os-release").unlink()
    (root / "etc/os-release").symlink_to("/usr/lib/os-release")
    manifest = read_manifest(build(tmp_path / "x.img", "--root", str(root)))
    assert manifest is not None
    assert manifest.distro == "fedora"


def test_templates_of_a_root_run_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = foreign_root(tmp_path / "root")
    own = root / "etc/kdump-initrd/templates"
    own.mkdir(parents=True)
    witness = tmp_path / "witness"
    command = f"cycler.__init__.__globals__.os.system('touch {witness}')"
    (own / "init.j2").write_text("#!/bin/sh\n{{ " + command + " }}\n")
    argv = [*CAPTURE, "--root", str(root), "-o", str(tmp_path / "x.img"), RELEASE]
    status, error, _ = complain(capsys, *argv)
    assert status == 1
    assert "init.j2" in error
    assert not witness.exists()


def test_missing_tools_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = foreign_root(tmp_path / "root", drop="usr/bin/busybox")
    shutil.copy("/bin/dash", root / "usr/bin/dash")
    argv = [*CAPTURE, "--root", str(root), "-o", str(tmp_path / "x.img"), RELEASE]
    status, error, hint = complain(capsys, *argv)
    assert status == 1
    assert error.startswith("env, findfs, mount, sleep, sync, timeout, umount: not in the root")
    assert "busybox" in hint


@pytest.mark.parametrize("hardware", ["host", "virtio"])
def test_what_cannot_be_assembled_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    hardware: str,
) -> None:
    monkeypatch.setattr(
        block, "identify", lambda spec, fs, host: BlockDevice(spec, fs, Path("/dev/dm-0"))
    )
    monkeypatch.setattr(
        sysfs, "hardware_of", lambda node, *, sysfs: Hardware((), ("dm_mod",), ("lvm", "bcache"))
    )
    argv = [*CAPTURE, "--hardware", hardware, "-o", str(tmp_path / "x.img"), RELEASE]
    status, error, hint = complain(capsys, *argv)
    assert status == 1
    assert error.endswith("): lies on bcache, which the image cannot assemble")
    assert hint == (
        "save to a partition or disk of its own, without layers: -c DEV -f FS, or device and "
        "fstype in /etc/kdump-initrd.toml"
    )


def test_hardware_that_nobody_knows_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        block, "identify", lambda spec, fs, host: BlockDevice(spec, fs, Path("/dev/ram0"))
    )
    monkeypatch.setattr(sysfs, "hardware_of", lambda node, *, sysfs: None)
    argv = ["-c", "/dev/ram0", "-f", "ext4", "-o", str(tmp_path / "x.img"), RELEASE]
    status, error, hint = complain(capsys, *argv)
    assert (status, error) == (1, "/dev/ram0: sysfs does not show its hardware")
    assert "--hardware generic" in hint


def test_watchdogs_that_tick_are_told_to_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        block, "identify", lambda spec, fs, host: BlockDevice(spec, fs, Path("/dev/vda"))
    )
    hardware = Hardware((), ("virtio_blk",), ())
    monkeypatch.setattr(sysfs, "hardware_of", lambda node, *, sysfs: hardware)
    monkeypatch.setattr(sysfs, "running_watchdogs", lambda *, sysfs: ("i6300esb",))
    out = tmp_path / "x.img"
    assert main(["-c", "UUID=1", "-f", "ext4", "-o", str(out), RELEASE]) == 0
    tree = unpack(out, tmp_path / "tree")
    assert "export KDUMP_WATCHDOGS=i6300esb\n" in (tree / "init").read_text()
    assert list(tree.rglob("i6300esb.ko"))
