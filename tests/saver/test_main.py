# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line on a host, and the child as the capture kernel starts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdump_initrd.saver.__main__ import main
from kdump_initrd.saver.low.console import Console
from kdump_initrd.saver.low.progress import Progress
from kdump_initrd.saver.params import DumpParams, Params, TargetParams

from .minireader import MiniReader
from .running import PARAMETERS, arguments, child
from .samples import sample
from .vmcore import X86_64

PYENV = Path("~/.pyenv/versions").expanduser()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--colour", "red"], "--colour: no such option"),
        (["vmcore"], "vmcore: no such option"),
        (["--vmcore"], "--vmcore: expected a value"),
        (["--dump.level", "one"], "--dump.level: expected a whole number, not 'one'"),
        (["--dump.level=32"], "dump.level: expected a level from 0 to 31, not 32"),
        (["--dump.format=tar"], "dump.format: expected one of kdump, elf, flat, none, not 'tar'"),
        (["--names.directory=a/b"], "names.directory: 'a/b' does not give the name of one file"),
        (["--target", "1"], "--target: there is no target 1, only 1"),
        (["--target", "x"], "--target: expected a whole number, not 'x'"),
        (["--target.keep_free", "-1"], "targets[0].keep_free: expected a percentage from 0 to"),
        (["--params", "/nonexistent"], "/nonexistent: No such file or directory"),
    ],
)
def test_wrong_usage(words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capfd.readouterr()
    assert said.out == ""
    first, second = said.err.splitlines()
    assert first.startswith(f"kdump-initrd: error: {message}")
    assert second == "kdump-initrd: hint: --help lists the options"


def test_help_lists_every_parameter(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capfd.readouterr().out
    for name in ("vmcore", *PARAMETERS.values(), "target.folder", "target.deadline"):
        assert f"  --{name} VALUE" in said


def test_params_file_and_options_above_it(tmp_path: Path) -> None:
    core, _ = sample()
    path = core.write(tmp_path / "in")
    params = tmp_path / "params.json"
    params.write_text(
        Params(
            vmcore=str(path),
            dump=DumpParams(compress="zlib"),
            targets=(TargetParams(), TargetParams(folder=str(tmp_path / "a"))),
        ).to_json()
    )
    words = ["--params", str(params), "--target", "1", f"--target.folder={tmp_path / 'b'}"]
    assert main([*words, "--names.dump", "x"]) == 0
    dump = MiniReader(tmp_path / "b/202311142213/x", X86_64)
    assert dump.status == 1
    assert not (tmp_path / "a").exists()
    params.write_text('{"colour": "red"}')
    assert main(["--params", str(params)]) == 2


def test_console_gets_priorities_and_short_lines(tmp_path: Path) -> None:
    core, _ = sample()
    console = tmp_path / "kmsg"
    missing = tmp_path.joinpath(*[letter * 200 for letter in "vwxyz"])
    words = arguments(missing, tmp_path / "out", console=console)
    assert main(words) == 3
    words = arguments(core.write(tmp_path / "in"), tmp_path / "out", console=console)
    assert main(words) == 0
    lines = console.read_bytes().splitlines()
    assert all(len(line) < 900 for line in lines)
    assert lines[0].startswith(b"<3>kdump-initrd: error: vmcore: /")
    assert lines[0].endswith(b"...")
    assert lines[-1].startswith(b"<6>kdump-initrd: the dump is in ")


def test_progress_is_said_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("kdump_initrd.saver.low.progress.time.monotonic", lambda: clock[0])
    meter = Progress(Console(""), str(tmp_path / "progress"))
    meter.start("", 100 << 20)
    for _ in range(32):
        clock[0] += 0.125
        meter.advance(1 << 20)
    assert capfd.readouterr().err.splitlines() == [
        "kdump-initrd: 8 %, 8.4 MB/s, 12 s left",
        "kdump-initrd: 24 %, 8.4 MB/s, 10 s left",
    ]
    assert (tmp_path / "progress").read_text() == "5 0\n"
    meter.close()


def test_log_of_something_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"something else")
    assert main(["--dmesg", str(path)]) == 3
    wanted = f"{path}: neither an ELF core nor a kdump-compressed dump"
    assert capfd.readouterr().err == f"kdump-initrd: error: {wanted}\n"


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_other_pythons(tmp_path: Path, version: str) -> None:
    found = sorted(PYENV.glob(f"{version}.*/bin/python3"))
    if not found:
        pytest.skip(f"no Python {version} in {PYENV}")
    core, pages = sample()
    path = core.write(tmp_path / "in")
    for options in ({"dump_format": "elf", "readme_name": "README.txt"}, {}):
        done = child(*arguments(path, tmp_path / "out", **options), python=str(found[-1]))
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out/crash/report.json").read_text())["result"] == "saved"
    dump = MiniReader(tmp_path / "out/crash-2/vmcore", X86_64)
    assert {pfn: dump.page(pfn) for pfn in dump.second} == pages
    done = child("--dmesg", str(tmp_path / "out/crash/vmcore"), python=str(found[-1]))
    assert done.stderr == "kdump-initrd: error: VMCOREINFO has no SYMBOL(prb)\n"
