# SPDX-License-Identifier: GPL-2.0-or-later
"""What the requests do: who is called with what, the configuration, several images at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.commands import configuration, profiletext
from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.config import effective
from kdump_initrd.config.effective import Effective
from kdump_initrd.config.settings import CaptureSettings, FirstKernelSettings, ToolSource
from kdump_initrd.config.targetsettings import TargetSettings
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.recipes import capture, dumptarget
from kdump_initrd.recipes.firstkernel import recipe
from kdump_initrd.upkeep import renewal
from tests.aimed import aimed

from .commandline import UUID, complain
from .thiskernel import RELEASE

KERNEL = f"/boot/vmlinuz-{RELEASE}"
MACHINE = ["--hardware", "virtio"]
DEFAULT = CaptureSettings()
FIRST = FirstKernelSettings()
IMPORT = (configuration, "import_config")
REFRESH = {"releases": (), "distro": None, "force": False, "dry_run": False}
ONE = {"releases": ("6.1",)}


class Recorder:
    """Stands for functions: notes what they are called with, and returns what was asked for."""

    def __init__(self, result: Any = None) -> None:  # noqa: ANN401
        self.result = result
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *words: Any, **named: Any) -> Any:  # noqa: ANN401
        self.calls.append((words, named))
        return self.result


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make a configuration that says some values, with warnings and errors."""

    def make(
        values: Mapping[str, Any], warnings: tuple[str, ...] = (), errors: tuple[str, ...] = ()
    ) -> None:
        found = Effective(
            values=values, origins={}, warnings=warnings, errors=errors, files=(), source="test"
        )
        monkeypatch.setattr(effective, "read", lambda root, *, peer: found)

    return make


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the settings that the recipes are called with, and plan nothing."""
    seen: list[Any] = []

    def plan(settings: Any) -> Any:  # noqa: ANN401
        seen.append(settings)
        raise KdumpInitrdError("enough")

    monkeypatch.setattr(capture, "plan", plan)
    monkeypatch.setattr(recipe, "plan", plan)
    return seen


@pytest.mark.parametrize(
    ("words", "called", "positional", "named", "result", "printed", "status"),
    [
        ("--show-distro", (profiletext, "lines"), ("/", None), {}, ["a", "b"], "a b", 0),
        ("--show-distro x --root /mnt", (profiletext, "lines"), ("/mnt", "x"), {}, [], "", 0),
        ("--check-config", (configuration, "check"), ("/", None), {}, (["a"], 1), "a", 1),
        ("--check-config --distro x", (configuration, "check"), ("/", "x"), {}, ([], 0), "", 0),
        ("--import-config", IMPORT, ("/", None, None), {"force": False}, ["a"], "a", 0),
        ("--import-config --force -o y", IMPORT, ("/", None, "y"), {"force": True}, [], "", 0),
        ("--refresh", (renewal, "run"), ("/",), REFRESH, 0, "", 0),
        ("--refresh 6.1", (renewal, "run"), ("/",), {**REFRESH, **ONE}, 1, "", 1),
        ("--refresh --force", (renewal, "run"), ("/",), {**REFRESH, "force": True}, 0, "", 0),
        ("--refresh --dry-run", (renewal, "run"), ("/",), {**REFRESH, "dry_run": True}, 0, "", 0),
        ("--remove", (renewal, "remove"), ("/",), {"distro": None, "releases": ()}, 0, "", 0),
        ("--remove 6.1 --root /m", (renewal, "remove"), ("/m",), {"distro": None, **ONE}, 1, "", 1),
    ],
)  # fmt: skip
def test_who_is_called(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    called: tuple[object, str],
    positional: tuple[str | None, ...],
    named: dict[str, Any],
    result: Any,  # noqa: ANN401
    printed: str,
    status: int,
) -> None:
    recorder = Recorder(result)
    monkeypatch.setattr(*called, recorder)
    assert main(words.split()) == status
    ((given, by_name),) = recorder.calls
    assert tuple(str(each) if isinstance(each, Path) else each for each in given) == positional
    assert by_name == named
    assert capsys.readouterr().out.split() == printed.split()


def test_configured_values_are_what_flags_do_not_say(
    configured: Callable[..., None], planned: list[Any]
) -> None:
    configured({"targets": aimed(UUID), "fstype": "xfs", "dump_level": 1, "compress": "gzip"})
    assert main(["-o", "x", "--dump-level", "17", "6.1"]) == 1
    assert main(["-c", "/dev/sdx", "-f", "ext4"]) == 1
    common = replace(DEFAULT, compress="gzip")
    assert planned == [
        replace(common, targets=aimed(UUID, "xfs"), dump_level=17, output="x", release="6.1"),
        replace(common, targets=aimed("/dev/sdx", "ext4"), dump_level=1),
    ]


@pytest.mark.parametrize(
    ("words", "whole", "names"),
    [
        ("", False, {"append_cmdline", "tools"}),
        (
            "",
            True,
            {"append_cmdline", "standalone", "tools", "compress", "hardware", "root_device"},
        ),
        ("--standalone", False, {"append_cmdline", "tools", "compress", "hardware", "root_device"}),
        ("--base x", True, {"append_cmdline", "tools"}),
        ("--in-place", True, {"append_cmdline", "tools"}),
        ("--append-cmdline more", False, {"tools"}),
    ],
)
def test_what_is_configured_for_the_first_kernel(
    configured: Callable[..., None], planned: list[Any], words: str, whole: bool, names: set[str]
) -> None:
    """Nothing that is the dump target's; for a segment nothing that has no effect on one."""
    values = {
        "targets": aimed(UUID),
        "fstype": "xfs",
        "compress": "gzip",
        "hardware": ("nvme",),
        "tools": ToolSource.ROOT,
        "append_cmdline": "debug",
        "root_device": "/dev/sdx",
        "standalone": whole,
    }
    configured(values)
    assert main(["-i", "x", "-v", "y", *words.split()]) == 1
    (settings,) = planned
    as_configured = {
        name
        for name, value in values.items()
        if getattr(settings, name, None) == value and value != getattr(FIRST, name)
    }
    assert as_configured == names


@pytest.mark.parametrize("words", ["-o x", "x 6.1", f"-k {KERNEL} -i ./x", "--dry-run"])
def test_without_a_configured_device_the_target_is_resolved(
    monkeypatch: pytest.MonkeyPatch, configured: Callable[..., None], planned: list[Any], words: str
) -> None:
    configured({"path": "/dumps"})
    target = replace(DEFAULT, targets=aimed(UUID, "xfs"))
    recorder = Recorder(target)
    monkeypatch.setattr(dumptarget, "resolve", recorder)
    assert main(words.split()) == 1
    assert planned == [target]
    (((asked,), named),) = recorder.calls
    assert (asked.targets, named["root"]) == ((TargetSettings(path="/dumps"),), Root())


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("-o x", "-c DEV -f FS"),
        ("x 6.1", "--dump-dev=DEV --dump-fs=FS"),
        (f"-k {KERNEL} -i ./x", "-v DEV -f FS"),
    ],
)
def test_no_target_at_all_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    configured: Callable[..., None],
    words: str,
    target: str,
) -> None:
    def resolve(*words: object, **named: object) -> None:
        raise KdumpInitrdError("/var/crash: on tmpfs", hint="no")

    configured({})
    monkeypatch.setattr(dumptarget, "resolve", resolve)
    status, error, hint = complain(capsys, *words.split())
    assert (status, error) == (2, "no dump device is given or configured; /var/crash: on tmpfs")
    assert hint == f"give {target}, or device and fstype in /etc/kdump-initrd.toml"


def test_a_configured_device_that_cannot_be_used_is_an_error(
    capsys: pytest.CaptureFixture[str], configured: Callable[..., None]
) -> None:
    configured({"targets": aimed(UUID)})
    status, error, _ = complain(capsys, "-o", "x")
    assert (status, error) == (1, f"{UUID}: its file system cannot be detected here")


def test_a_configuration_with_errors_builds_nothing(
    capsys: pytest.CaptureFixture[str], configured: Callable[..., None], tmp_path: Path
) -> None:
    configured({}, warnings=("kdump.conf:1: raw",), errors=("a.toml:3: b", "a.toml:4: c"))
    out = tmp_path / "x.img"
    status, error, hint = complain(capsys, "-c", UUID, "-f", "ext4", "-o", str(out), RELEASE)
    assert (status, error) == (1, "a.toml:3: b")
    assert "--check-config" in hint
    assert not out.exists()


def test_an_error_that_the_words_mend_is_none(
    monkeypatch: pytest.MonkeyPatch, planned: list[Any]
) -> None:
    error = "kdump.conf:3: raw: no"
    found = Effective({}, {}, (), (error,), (), "test", mended_by={error: "targets"})
    monkeypatch.setattr(effective, "read", lambda root, *, peer: found)
    assert main(["-o", "x"]) == 1
    assert planned == []
    assert main(["-c", UUID, "-f", "ext4"]) == 1
    assert [each.targets for each in planned] == [aimed(UUID, "ext4")]


def test_warnings_of_the_configuration_are_said_once(
    capsys: pytest.CaptureFixture[str], configured: Callable[..., None], planned: list[Any]
) -> None:
    configured({"targets": aimed(UUID), "fstype": "ext4"}, warnings=("kdump.conf:1: raw",))
    pair = ["-k", f"{KERNEL} {KERNEL}", "-i", "./a ./b"]
    assert main(pair) == 1
    assert planned[0].release == RELEASE
    assert capsys.readouterr().err.count("warning: kdump.conf:1: raw") == 1


def test_suses_words_build_an_image_for_each_kernel(
    configured: Callable[..., None], tmp_path: Path
) -> None:
    configured({"targets": aimed(UUID), "fstype": "ext4"})
    other = tmp_path / "kernel"
    shutil.copy(KERNEL, other)
    outs = [tmp_path / "a.img", tmp_path / "b.img"]
    kernels = f"vmlinuz-{RELEASE} {other}"
    assert main(["-k", kernels, "-i", " ".join(map(str, outs)), *MACHINE, "-m", "loop"]) == 0
    for out in outs:
        manifest = read_manifest(out)
        assert manifest is not None
        assert (manifest.kernel, manifest.target, manifest.fstype) == (RELEASE, UUID, "ext4")
        assert "loop" in manifest.modules


@pytest.mark.parametrize(
    ("kernels", "second", "message"),
    [
        ("{0} {1}/none", "b.img", "{1}/none: No such file or directory"),
        ("{0} {1}/script", "b.img", "{1}/script: not a known kind of kernel image"),
        ("{0} {0}", "there.img", "{1}/there.img: exists already"),
        ("{0} {0}", "none/b.img", "{1}/none: No such file or directory"),
        ("{0} {0}", "folder", "{1}/folder: is a folder"),
    ],
)
def test_of_several_images_none_is_written_if_one_cannot_be(
    capsys: pytest.CaptureFixture[str],
    configured: Callable[..., None],
    tmp_path: Path,
    kernels: str,
    second: str,
    message: str,
) -> None:
    configured({"targets": aimed(UUID), "fstype": "ext4"})
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "there.img").write_text("there")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    images = f"{tmp_path}/a.img {tmp_path}/{second}"
    status, error, _ = complain(
        capsys, "-k", kernels.format(KERNEL, tmp_path), "-i", images, *MACHINE
    )
    assert status == 1
    assert error.startswith(message.format(KERNEL, tmp_path))
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.img").read_text() == "there"


def test_red_hats_words_build_an_image(
    capsys: pytest.CaptureFixture[str], configured: Callable[..., None], tmp_path: Path
) -> None:
    configured({})
    out = tmp_path / "x.img"
    words = [f"--dump-dev={UUID}", "--dump-fs=ext4", "--image-version", "--with=loop", *MACHINE]
    assert main([*words, "--nocompress", "--omit-lvm-modules", str(out), RELEASE]) == 0
    err = capsys.readouterr().err
    assert "kdump-initrd: warning: --omit-lvm-modules no longer has a meaning: " in err
    assert not out.exists()
    image = tmp_path / f"x.img-{RELEASE}"
    assert image.read_bytes().startswith(b"070701")
    manifest = read_manifest(image)
    assert manifest is not None
    assert "loop" in manifest.modules


def test_a_dry_run_of_several_names_them(
    capsys: pytest.CaptureFixture[str], configured: Callable[..., None]
) -> None:
    configured({"targets": aimed(UUID), "fstype": "ext4"})
    pair = ["-k", f"{KERNEL} {KERNEL}", "-i", "./a ./b", *MACHINE, "--dry-run"]
    assert main(pair) == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if line in ("# a", "# b")]
    assert titles == ["# a", "# b"]
    assert not Path("a").exists()
