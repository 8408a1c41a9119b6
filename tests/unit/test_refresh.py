# SPDX-License-Identifier: GPL-2.0-or-later
"""--refresh: nothing is written for nothing, each change is noticed and named, failures keep."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from kdump_initrd.core import publish
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.probe.distro.profiles import Distro
from kdump_initrd.recipes import capture
from kdump_initrd.recipes.firstkernel import recipe
from kdump_initrd.recipes.firstkernel.firstimage import FirstImage
from kdump_initrd.targets import refusals
from kdump_initrd.upkeep import keep, record
from kdump_initrd.upkeep.ready import readiness

from . import refreshroots
from .initrdwriter import DRACUT, bzimage, write_base, write_capture
from .refreshroots import CONFIGURATION, NEWER, Host, Lines, kind_of
from .thiskernel import RELEASE

CAPTURE = f"boot/initrd.img-{RELEASE}-kdump"
BASE = f"boot/initrd.img-{RELEASE}"


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose images are current."""
    root = refreshroots.make(tmp_path_factory.mktemp("refresh") / "root")
    assert Host(root).run() == 0
    return root


@pytest.fixture
def host(pattern: Path) -> Iterator[Host]:
    """A copy of the root at the same place, so that the records are about it."""
    kept = pattern.with_name("kept")
    pattern.rename(kept)
    shutil.copytree(kept, pattern, symlinks=True, copy_function=partial(_copy, kept))
    try:
        yield Host(pattern)
    finally:
        shutil.rmtree(pattern)
        kept.rename(pattern)


def _copy(top: Path, source: str, dest: str) -> None:
    """Copy what tests and --refresh write; what they replace may be a link."""
    if Path(source).relative_to(top).parts[0] in ("boot", "etc", "var"):
        shutil.copy2(source, dest)
    else:
        os.link(source, dest, follow_symlinks=False)


@pytest.fixture
def lines(host: Host) -> Iterator[Lines]:
    """What is said at the level of the command line's default."""
    with refreshroots.hearing(host) as heard:
        yield heard


def settled(host: Host, lines: Lines) -> None:
    """Check that another run says and writes nothing."""
    before = host.files()
    lines.take()
    assert host.run() == 0
    assert lines.take() == []
    assert host.files() == before


def test_first_run_writes_both_and_says_so(host: Host, lines: Lines) -> None:
    shutil.rmtree(host.root / "var")
    host.capture.unlink()
    write_base(host.base.with_suffix(".new")).replace(host.base)
    assert host.run() == 0
    assert lines.take() == [
        f"{CAPTURE}: written, because there was none",
        f"{BASE}: written, because it lacks the segment of kdump-initrd",
    ]
    assert [kind_of(host.capture), kind_of(host.base)] == ["capture", "first-kernel"]
    settled(host, lines)


def test_nothing_changed_and_nothing_is_planned(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.run()
    monkeypatch.setattr(capture, "plan", lambda settings: pytest.fail("planned"))
    settled(host, lines)


def test_same_content_with_another_time_is_no_change(host: Host, lines: Lines) -> None:
    busybox = host.root / "usr/bin/busybox"
    host.write("usr/bin/busybox", busybox.read_bytes())
    busybox.chmod(0o755)
    settled(host, lines)


def test_another_library_cache_is_read_but_makes_no_difference(host: Host, lines: Lines) -> None:
    host.write("etc/ld.so.conf", "# nothing\n")
    before = {name: each for name, each in host.files().items() if name.startswith("boot/")}
    assert host.run() == 0
    assert lines.take() == []
    assert {name: each for name, each in host.files().items() if name in before} == before
    settled(host, lines)


def changed_module(host: Host) -> str:
    name = f"lib/modules/{RELEASE}/kernel/fs/ext4/ext4.ko"
    before = (host.root / name).read_bytes()
    # Whole as before: its size and its signature's place are looked at.
    host.write(name, before.replace(b"author=", b"Author=", 1))
    assert (host.root / name).read_bytes() != before
    return f"usr/{name} changed"


def changed_tool(host: Host) -> str:
    path = host.root / "usr/bin/busybox"
    host.write("usr/bin/busybox", path.read_bytes() + b"\0")
    path.chmod(0o755)
    return "usr/bin/busybox changed"


def changed_library(host: Host) -> str:
    name = "usr/lib/x86_64-linux-gnu/liblzo2.so.2"
    host.write(name, (host.root / name).read_bytes() + b"\0")
    # It lies in the second stage.
    return "usr/lib/x86_64-linux-gnu/liblzo2.so.2 changed"


def changed_setting(host: Host) -> str:
    host.write("etc/kdump-initrd.toml", CONFIGURATION.replace("[image]", "dump-level = 1\n[image]"))
    return "the setting dump-level, etc/kdump-initrd/params.json changed"


def changed_drop_in(host: Host) -> str:
    host.write("etc/kdump-initrd.toml.d/50-mine.toml", '[capture]\nfinal-action = "halt"\n')
    return "the setting final-action, init changed"


def changed_template(host: Host) -> str:
    text = Path(keep.__file__).parents[2] / "templates/init.j2"
    host.write("etc/kdump-initrd/templates/init.j2", f"{text.read_text()}# mine\n")
    return "init changed"


def changed_hook(host: Host) -> str:
    name = "etc/kdump-initrd/hooks/pre-save/90-mine"
    host.write(name, "#!/bin/sh\n# needs: cat\ncat /proc/uptime\n")
    (host.root / name).chmod(0o755)
    return "init, usr/lib/kdump-initrd/hooks/pre-save/90-mine changed"


def changed_profile(host: Host) -> str:
    text = 'inherits = "linux"\nname = "Mine"\n[dump]\ndirectory = "crash-%s"\n'
    host.write("etc/kdump-initrd/distros/debian.toml", text)
    return "etc/kdump-initrd/params.json changed"


def changed_module_options(host: Host) -> str:
    host.write("etc/modprobe.d/mine.conf", "options virtio_blk queue_depth=8\n")
    return "etc/kdump-initrd/on-demand/virtio_blk changed"


@pytest.mark.parametrize(
    "change",
    [
        changed_module,
        changed_tool,
        changed_library,
        changed_setting,
        changed_drop_in,
        changed_template,
        changed_hook,
        changed_profile,
        changed_module_options,
    ],
)
def test_each_kind_of_input(host: Host, lines: Lines, change: Callable[[Host], str]) -> None:
    why = change(host)
    before = host.capture.read_bytes()
    assert host.run() == 0
    said = lines.take()
    assert said[0].startswith(f"{CAPTURE}: written, because ")
    assert all(word in said[0] for word in why.removesuffix(" changed").split(", ")), said
    assert len(said) == 2
    assert "kdump-initrd/initrd" in said[1]
    assert host.capture.read_bytes() != before
    settled(host, lines)


def before_kexec(host: Host) -> str:
    (host.root / "usr/sbin/kexec").rename(host.root / "usr/bin/kexec")
    return "usr/bin/kexec usr/sbin/kexec kdump-initrd/bin/kexec"


def before_busybox(host: Host) -> str:
    (host.root / "usr/lib/initramfs-tools/bin").mkdir(parents=True)
    name = "usr/lib/initramfs-tools/bin/busybox"
    (host.root / "usr/bin/busybox").rename(host.root / name)
    return f"{name} usr/bin/busybox usr/bin/busybox"


def before_library(host: Host) -> str:
    name = "usr/lib/x86_64-linux-gnu/liblzo2.so.2"
    (host.root / name).rename(host.root / "usr/lib/liblzo2.so.2")
    return f"usr/lib/liblzo2.so.2 {name} {name}"


@pytest.mark.parametrize("prepare", [before_kexec, before_busybox, before_library])
def test_a_file_that_appears_where_it_is_looked_for_first(
    host: Host, lines: Lines, prepare: Callable[[Host], str]
) -> None:
    there, better, entry = prepare(host).split()
    assert host.run() == 0
    settled(host, lines)
    host.write(better, (host.root / there).read_bytes() + b"\0")
    (host.root / better).chmod(0o755)
    assert host.run(dry_run=True) == 3
    assert entry in " ".join(lines.take())
    assert host.run() == 0
    settled(host, lines)


def test_firmware_that_appears(host: Host, lines: Lines) -> None:
    host.write("etc/kdump-initrd.toml", f'{CONFIGURATION}add-module = ["qla2xxx"]\n')
    assert host.run() == 0
    settled(host, lines)
    host.write("usr/lib/firmware/ql2400_fw.bin", "firmware")
    assert host.run() == 0
    assert f"{CAPTURE}: written, because usr/lib/firmware" in lines.take()[0]
    settled(host, lines)


def test_what_comes_beside_makes_nobody_plan(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "plan", lambda settings: pytest.fail("planned"))
    for name in ("usr/bin/other", "usr/sbin/other", "usr/lib/other", "etc/other", "boot/other"):
        host.write(name, "")
    settled(host, lines)


@pytest.mark.parametrize("top", [None, pytest.param("/var/tmp", marks=pytest.mark.full)])
def test_a_checkout_and_a_root_below_a_folder_of_temporary_files(
    host: Host, top: str | None
) -> None:
    """What programs write for themselves lies there, too; and so may what images are made of."""
    with tempfile.TemporaryDirectory(dir=top) as folder:
        root, checkout = Path(folder, "root"), Path(folder, "checkout")
        shutil.copytree(host.root, root, symlinks=True)
        for name in ("kdump_initrd", "templates", "hooks", "distros"):
            shutil.copytree(Path(keep.__file__).parents[2] / name, checkout / name)

        def refresh(*options: str) -> int:
            words = ["-m", "kdump_initrd", "--refresh", "--root", str(root), *options]
            return subprocess.run(
                [sys.executable, *words], cwd=checkout, timeout=120, check=False
            ).returncode

        assert refresh() == 0
        assert refresh("--dry-run") == 0
        for path in (root / "etc/modprobe.d/mine.conf", checkout / "templates/init.j2"):
            before = path.read_text() if path.exists() else ""
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{before}# mine\noptions virtio_blk queue_depth=8\n")
            assert refresh("--dry-run") == 3, path
            path.write_text(before)
            assert refresh("--dry-run") == 0


def test_another_interpreter_library_is_noticed(host: Host, lines: Lines) -> None:
    stdlib = next((host.root / "usr/lib").glob("python3.*"))
    name = f"usr/lib/{stdlib.name}/struct.py"
    host.write(name, (host.root / name).read_text() + "\nmine = 1\n")
    assert host.run() == 0
    assert "usr/lib/kdump-initrd/python.zip changed" in lines.take()[0]
    settled(host, lines)


def test_another_kernel_of_the_same_release_changes_the_payload_only(
    host: Host, lines: Lines
) -> None:
    host.write(f"boot/vmlinuz-{RELEASE}", bzimage(RELEASE) + b"\0")
    assert host.run() == 0
    assert lines.take() == [f"{BASE}: written, because kdump-initrd/kernel changed"]
    settled(host, lines)


def test_a_rebuilt_base_gets_its_segment_again(host: Host, lines: Lines) -> None:
    write_base(host.base.with_suffix(".new"), behind=bytes(512)).replace(host.base)
    assert host.run(RELEASE) == 0
    why = "the initrd that it is appended to"
    said = lines.take()
    assert len(said) == 1
    assert said[0].startswith(f"{BASE}: written, because {why}")
    assert kind_of(host.base) == "first-kernel"
    settled(host, lines)


def test_the_same_base_without_our_segment_gets_it_again(host: Host, lines: Lines) -> None:
    write_base(host.base.with_suffix(".new")).replace(host.base)
    assert host.run() == 0
    assert lines.take() == [f"{BASE}: written, because it has been changed since it was written"]
    assert kind_of(host.base) == "first-kernel"


def test_a_missing_image_is_written_again(host: Host, lines: Lines) -> None:
    before = host.capture.read_bytes()
    host.capture.unlink()
    assert host.run() == 0
    assert lines.take() == [f"{CAPTURE}: written, because there was none"]
    assert host.capture.read_bytes() == before


def test_a_damaged_image_is_written_again_if_ours(host: Host, lines: Lines) -> None:
    write_capture(host.capture.with_suffix(".new")).replace(host.capture)
    assert host.run() == 0
    assert (
        lines.take()[0] == f"{CAPTURE}: written, because it has been changed since it was written"
    )


def test_a_damaged_record_is_none(host: Host, lines: Lines) -> None:
    for path in (host.root / record.FOLDER).iterdir():
        path.write_text('{"kind": 1}')
    assert host.run() == 0
    known = "its inputs are not on record"
    assert lines.take() == [f"{name}: written, because {known}" for name in (CAPTURE, BASE)]


def test_another_version_of_the_tool(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (keep, record, capture):
        monkeypatch.setattr(module, "__version__", "99.0")
    assert host.run() == 0
    assert "kdump-initrd itself (" in lines.take()[0]


def test_somebody_elses_image_is_not_replaced(host: Host, lines: Lines) -> None:
    write_base(host.capture.with_suffix(".new")).replace(host.capture)
    before = host.files()
    assert host.run() == 1
    assert lines.take() == [
        f"{RELEASE}: {CAPTURE}: not an image of kdump-initrd (--refresh --force replaces it)"
    ]
    assert host.files() == before
    assert host.run(force=True) == 0
    assert kind_of(host.capture) == "capture"


def test_force_writes_and_says_why(host: Host, lines: Lines) -> None:
    assert host.run(force=True) == 0
    assert lines.take() == [
        f"{name}: written, because --force was given" for name in (CAPTURE, BASE)
    ]


def test_dry_run_says_and_writes_nothing(host: Host, lines: Lines) -> None:
    assert host.run(dry_run=True) == 0
    assert lines.take() == [f"{name}: kept: nothing changed" for name in (CAPTURE, BASE)]
    changed_tool(host)
    before = host.files()
    assert host.run(dry_run=True) == 3
    assert lines.take() == [
        f"{CAPTURE}: would be written, because usr/bin/busybox changed",
        f"{BASE}: would be written, because the capture initrd in it would be",
    ]
    assert host.files() == before


def test_a_place_for_dumps_is_configured_not_said(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise KdumpInitrdError("/var/crash: on LVM", hint=refusals.PLAIN_DISK)

    monkeypatch.setattr("kdump_initrd.upkeep.renewal.resolved", refuse)
    with pytest.raises(KdumpInitrdError) as caught:
        host.run()
    assert caught.value.hint == (
        "save to a partition or disk of its own, without layers: device and fstype in "
        "/etc/kdump-initrd.toml"
    )


def test_a_full_disk_keeps_what_was_there(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_tool(host)
    before = {path: host.root.joinpath(path).read_bytes() for path in (CAPTURE, BASE)}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(publish, "_publish", full)
        assert host.run() == 1
    assert "No space left on device (make room in " in lines.take()[0]
    assert {path: host.root.joinpath(path).read_bytes() for path in before} == before
    assert not list((host.root / "boot").glob(".*"))
    assert host.run() == 0
    settled(host, lines)


@pytest.mark.parametrize("when", ["planned", "written"])
def test_an_initrd_that_is_made_anew_meanwhile_gets_the_segment(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """update-initramfs renames its new one into place, while the old one's successor is packed."""
    changed_tool(host)
    once = iter([True])

    def replace(*arguments: object) -> None:
        # Behind the last look of whoever plans; of both images, that at the base counts.
        if (when == "planned" or arguments[1] == host.base) and next(once, False):
            write_base(host.base.with_suffix(".new"), DRACUT).replace(host.base)

    module, name = (recipe, "plan") if when == "planned" else (publish, "_publish")
    real = getattr(module, name)

    def slow(*arguments: object) -> object:
        result = real(*arguments) if when == "planned" else None
        replace(*arguments)
        return result if when == "planned" else real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, slow)
        assert host.run() == 0
    assert [line.split(",")[0] for line in lines.take()] == [
        f"{CAPTURE}: written", f"{BASE}: written",
    ]  # fmt: skip
    base = write_base(host.root / "theirs", DRACUT).read_bytes()
    assert host.base.read_bytes().startswith(base)
    assert kind_of(host.base) == "first-kernel"
    settled(host, lines)


def test_an_initrd_that_is_made_anew_all_the_time_stays(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = publish._publish

    def slow(new: Path, out: Path, force: bool, instead: publish.Stamp | None) -> None:
        if out == host.base:
            write_base(host.base.with_suffix(".new"), DRACUT).replace(host.base)
        real(new, out, force, instead)

    changed_tool(host)
    with monkeypatch.context() as patch:
        patch.setattr(publish, "_publish", slow)
        assert host.run() == 1
    again = "run it again when that is done"
    assert lines.take()[1:] == [
        f"{RELEASE}: {BASE}: another program has written it in the meantime ({again})"
    ]
    assert kind_of(host.base) == ""
    assert host.run() == 0
    assert kind_of(host.base) == "first-kernel"


def test_an_initrd_that_is_made_anew_right_behind_is_not_taken_for_ours(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FirstImage.write

    def write(image: FirstImage, *, force: bool) -> int:
        size = real(image, force=force)
        write_base(host.base.with_suffix(".new"), DRACUT).replace(host.base)
        return size

    changed_tool(host)
    with monkeypatch.context() as patch:
        patch.setattr(FirstImage, "write", write)
        assert host.run() == 0
    assert kind_of(host.base) == ""
    assert host.run() == 0
    assert kind_of(host.base) == "first-kernel"


def test_one_kernels_failure_does_not_stop_the_others(host: Host, lines: Lines) -> None:
    host.add_kernel()
    (host.root / f"boot/initrd.img-{RELEASE}").write_bytes(b"no initrd at all")
    assert host.run() == 1
    said = lines.take()
    assert any(line.startswith(f"{RELEASE}: {BASE}: ") for line in said)
    assert kind_of(host.root / f"boot/initrd.img-{NEWER}") == "first-kernel"


def test_kernels_that_cannot_capture_are_left_out(host: Host, lines: Lines) -> None:
    host.add_kernel()
    host.write(f"boot/config-{NEWER}", "# CONFIG_CRASH_DUMP is not set\n")
    assert host.run() == 0
    assert lines.take() == [
        f"{NEWER}: built without CONFIG_CRASH_DUMP: it cannot be a capture kernel: left out"
    ]


@pytest.mark.parametrize(
    ("kernels", "expected"),
    [("all", {RELEASE, NEWER}), ("newest", {NEWER}), (RELEASE, {RELEASE})],
)
def test_configured_kernels(host: Host, lines: Lines, kernels: str, expected: set[str]) -> None:
    assert host.remove() == 0
    host.add_kernel()
    host.write("etc/kdump-initrd.toml", f'{CONFIGURATION}[refresh]\nkernels = "{kernels}"\n')
    assert host.run() == 0
    found = {path.name for path in (host.root / "boot").glob("*-kdump")}
    assert found == {f"initrd.img-{release}-kdump" for release in expected}


@pytest.mark.parametrize("case", ["current", "dry run", "failing", "capture only"])
def test_what_is_lacking_is_said_behind_what_was_done(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    def say(root: Root, profile: Distro, *, dumps: str) -> Iterator[str]:
        assert (root.path, profile.id, dumps) == (host.root, "debian", "/var/crash")
        yield "not armed: because"

    monkeypatch.setattr(readiness, "say", say)
    if case == "failing":
        write_base(host.capture.with_suffix(".new")).replace(host.capture)
    elif case == "capture only":
        host.write("etc/kdump-initrd.toml", f'{CONFIGURATION}[refresh]\nimages = "capture"\n')
    host.run(dry_run=case == "dry run")
    assert lines.take()[-1:] != ["not armed: because"] or case == "current"
    assert case != "current" or host.run() == 0
    assert lines.take() == (["not armed: because"] if case == "current" else [])


def test_without_a_kernel(host: Host, lines: Lines) -> None:
    (host.root / f"boot/vmlinuz-{RELEASE}").unlink()
    assert host.run() == 0
    said = lines.take()
    assert said[0] == f"{host.root}: no kernel is installed there: no crash is saved"
    assert not host.capture.exists()


def test_a_hook_may_name_a_kernel_that_is_not_configured(host: Host, lines: Lines) -> None:
    host.add_kernel()
    host.write("etc/kdump-initrd.toml", f'{CONFIGURATION}[refresh]\nkernels = "{RELEASE}"\n')
    assert host.run(NEWER) == 0
    assert lines.take() == [f"{NEWER}: left out: kernels = {RELEASE}"]
    assert not (host.root / f"boot/initrd.img-{NEWER}-kdump").exists()


def test_only_the_configured_images(host: Host, lines: Lines) -> None:
    assert host.remove() == 0
    host.write("etc/kdump-initrd.toml", f'{CONFIGURATION}[refresh]\nimages = "capture"\n')
    assert host.run() == 0
    assert [kind_of(host.capture), kind_of(host.base)] == ["capture", ""]


def test_without_an_initrd_of_the_distribution(host: Host, lines: Lines) -> None:
    host.base.unlink()
    for dry_run in (True, False):
        assert host.run(dry_run=dry_run) == 1
        (said,) = [line for line in lines.take() if "kept: nothing changed" not in line]
        assert said.startswith(
            f"{RELEASE}: it has no initrd that could load the capture kernel: "
            "it is not armed at boot (mkinitrd-kdump -i "
        )
    assert kind_of(host.capture) == "capture"
    host.write("etc/kdump-initrd.toml", f'{CONFIGURATION}[refresh]\nimages = "capture"\n')
    assert host.run() == 0


def test_an_initrd_that_a_loader_entry_alone_names(host: Host, lines: Lines) -> None:
    """As ostree has it, whose entries tell no release."""
    base = host.root / f"boot/ostree/debian-1f/initramfs-{RELEASE}.img"
    base.parent.mkdir(parents=True)
    host.base.rename(base)
    paths = (f"{kind} /ostree/debian-1f/{name}-{RELEASE}{suffix}" for kind, name, suffix in
             (("linux", "vmlinuz", ""), ("initrd", "initramfs", ".img")))  # fmt: skip
    host.write("boot/loader/entries/ostree-1-debian.conf", "\n".join(["version 1", *paths]))
    assert host.run() == 0
    assert kind_of(base) == "first-kernel"
    settled(host, lines)


def test_each_copy_of_an_initrd_is_extended(host: Host, lines: Lines) -> None:
    """As a boot loader's entry has it, beside the one in /boot."""
    host.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    copy = host.root / f"boot/0123456789abcdef0123456789abcdef/{RELEASE}/initrd"
    copy.parent.mkdir(parents=True)
    write_base(copy)
    assert host.run() == 0
    assert kind_of(copy) == "first-kernel"
    settled(host, lines)


@pytest.mark.parametrize("release", ["6.1.0-none", "../../none", ".."])
def test_a_kernel_that_is_not_there(host: Host, lines: Lines, release: str) -> None:
    before = host.files()
    if release.startswith("."):
        with pytest.raises(KdumpInitrdError, match=r"not a kernel release|No such file"):
            host.run(release)
    else:
        assert host.run(release) == 1
        assert lines.take() == [f"{release}: no such kernel in {host.root} (present: {RELEASE})"]
    assert host.files() == before


def test_a_kernel_by_its_image(host: Host, lines: Lines) -> None:
    host.add_kernel()
    assert host.run(str(host.root / f"boot/vmlinuz-{NEWER}")) == 0
    assert kind_of(host.root / f"boot/initrd.img-{NEWER}-kdump") == "capture"
    assert host.remove(f"vmlinuz-{NEWER}") == 0
    assert not (host.root / f"boot/initrd.img-{NEWER}-kdump").exists()
    lines.take()


@pytest.mark.parametrize(
    ("answer", "dry_run", "expected"),
    [("current", True, 0), ("stale", True, 3), ("gone", True, 3), ("broken", True, 1),
     ("stale", False, 0), ("broken", False, 1)],
)  # fmt: skip
def test_the_answer_of_a_dry_run(
    host: Host, lines: Lines, answer: str, dry_run: bool, expected: int
) -> None:
    if answer == "stale":
        changed_tool(host)
    elif answer == "gone":
        host.add_kernel()
        assert host.run() == 0
        (host.root / f"boot/vmlinuz-{NEWER}").unlink()
    elif answer == "broken":
        write_base(host.capture.with_suffix(".new")).replace(host.capture)
    assert host.run(dry_run=dry_run) == expected
    assert lines.take()


def test_an_error_in_the_configuration_stops_all(host: Host, lines: Lines) -> None:
    host.write("etc/kdump-initrd.toml", "[capture]\ndump-level = 99\n")
    before = host.files()
    with pytest.raises(KdumpInitrdError, match=r"kdump-initrd\.toml:2: "):
        host.run()
    assert host.files() == before


def test_what_is_left_of_a_gone_kernel_goes(host: Host, lines: Lines) -> None:
    host.add_kernel()
    assert host.run() == 0
    for path in (host.root / "boot").glob(f"*{NEWER}"):
        path.unlink()
    shutil.rmtree(host.root / f"lib/modules/{NEWER}")
    lines.take()
    assert host.run() == 0
    assert lines.take() == [f"boot/initrd.img-{NEWER}-kdump: removed"]
    assert [each.release for each in record.every(root=Root(host.root)).values()] == [RELEASE] * 2
    settled(host, lines)


def test_two_runs_wait_for_each_other(host: Host, lines: Lines) -> None:
    changed_tool(host)
    folder = os.open(host.root / record.FOLDER, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    before = host.capture.read_bytes()
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(host.run()))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    assert host.capture.read_bytes() == before
    os.close(folder)
    thread.join(30)
    assert status == [0]
    assert host.capture.read_bytes() != before


def test_waiting_has_an_end(tmp_path: Path) -> None:
    with (
        record.alone(root=Root(tmp_path)),
        pytest.raises(KdumpInitrdError, match=r"another run is still at work after 0\.2 s"),
        record.alone(root=Root(tmp_path), patience=0.2),
    ):
        pytest.fail("both at once")


def test_the_record_is_the_manifest_of_inputs(host: Host) -> None:
    text = (host.root / record.FOLDER / f"capture-{RELEASE}.json").read_text()
    found = json.loads(text)["inputs"]
    for name in (
        f"boot/vmlinuz-{RELEASE}",
        f"boot/config-{RELEASE}",
        f"lib/modules/{RELEASE}/modules.dep.bin",
        f"lib/modules/{RELEASE}/kernel/fs/ext4/ext4.ko",
        "usr/bin/busybox",
        "etc/os-release",
        "etc/kdump-initrd.toml",
    ):
        path = host.root / name
        assert found[str(path)]["digest"] == hashlib.sha256(path.read_bytes()).hexdigest(), name
    assert [name for name in found if name.endswith("templates/init.j2")]
    assert [name for name in found if name.endswith("saver/dump/dumping.py")]
    own = str(Path(keep.__file__).parents[2])  # wherever this checkout lies
    others = [name for name in found if not name.startswith(f"{own}/")]
    assert not [name for name in others if name.startswith(("/proc", "/dev", "/var"))]


def test_the_segment_is_of_the_base_as_the_distribution_made_it(host: Host, tmp_path: Path) -> None:
    manifest = read_manifest(host.base)
    assert manifest is not None
    base = write_base(tmp_path / "base")
    assert manifest.base_sha256 == hashlib.sha256(base.read_bytes()).hexdigest()
