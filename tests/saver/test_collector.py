# SPDX-License-Identifier: GPL-2.0-or-later
"""makedumpfile in the place of our own writer, and what is done when it fails."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from kdump_initrd.saver.__main__ import main
from tests.vm.kernels import newest
from tests.vm.vmcores import raw_vmcore

from .minireader import MiniReader
from .running import Outcome, arguments, save
from .samples import sample
from .vmcore import X86_64, noise, text

MAKEDUMPFILE = "/usr/bin/makedumpfile"


def fake(tmp_path: Path, script: str) -> Path:
    """Write a makedumpfile: $in is the vmcore, $out the dump; it notes its words."""
    path = tmp_path / "fake"
    path.write_text(
        "#!/bin/sh\n"
        f'echo "$*" > {shlex.quote(str(tmp_path / "words"))}\n'
        'while [ $# -gt 2 ]; do shift; done; in=$1; out=$2; : "$in"\n' + script
    )
    path.chmod(0o755)
    return path


def saved_by_us(done: Outcome, detail: str) -> None:
    """Demand that the fake failed for a reason, and a good dump of our own."""
    assert (done.status, done.report["result"]) == (0, "saved")
    step = done.step("collector")
    assert step["result"] == "failed"
    assert detail in step["detail"]
    assert done.step("dump")["result"] == "done"
    assert done.report["dump"]["collector"] == "saver"
    dump = MiniReader(done.dump, X86_64)
    assert dump.status == 2
    pages = sample()[1]
    assert {pfn: dump.page(pfn) for pfn in dump.second} == pages
    assert sorted(path.name for path in done.folder.iterdir()) == ["report.json", "vmcore"]


def test_its_dump_is_taken(tmp_path: Path) -> None:
    core, pages = sample()
    ours = save(tmp_path, core, directory="ours", dump_level=1, dump_compress="zlib")
    program = fake(tmp_path, f'cp {shlex.quote(str(ours.dump))} "$out"; echo much; echo said >&2')
    options = {"dump_level": 1, "dump_compress": "zlib", "verify": "full"}
    done = save(tmp_path, core, collector=program, **options)
    assert (done.status, done.report["result"]) == (0, "saved")
    assert done.step("collector") == {**done.step("collector"), "result": "done", "detail": ""}
    assert done.dump.read_bytes() == ours.dump.read_bytes()
    facts, wanted = done.report["dump"], ours.report["dump"]
    assert set(facts) == {*wanted} - {"predicted_bytes"}
    assert (facts["collector"], facts["codec"], facts["library"]) == ("makedumpfile", "zlib", "")
    assert (facts["pages"], facts["bytes"], facts["level"]) == (
        len(pages),
        done.dump.stat().st_size,
        1,
    )
    assert (facts["verified"], facts["verified_pages"]) == ("full", len(pages))
    assert {"copy", "verify"} <= set(facts["seconds"])
    vmcore = tmp_path / "vmcore.in"
    words = (tmp_path / "words").read_text().split()
    assert words == [
        *("--message-level", "4", "-d", "1", "-c", str(vmcore)),
        str(done.folder / "vmcore-incomplete"),
    ]


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"dump_compress": "lzo"}, "-l"),
        ({"dump_compress": "snappy"}, "-p"),
        ({"dump_compress": "zstd"}, "-z"),
        ({"dump_compress": "auto"}, "-l"),
        ({"dump_compress": "none"}, ""),
        ({"dump_format": "elf"}, "-E"),
    ],
)
def test_words(tmp_path: Path, options: dict[str, object], flag: str) -> None:
    save(tmp_path, sample()[0], collector=fake(tmp_path, "exit 1"), dump_level=16, **options)
    words = (tmp_path / "words").read_text().split()
    assert words[:-2] == ["--message-level", "4", "-d", "16", *([flag] if flag else [])]


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ('echo first; echo "  the  last " >&2; echo; exit 3', "exit status 3: the last"),
        ('echo partial > "$out"; exit 1', "makedumpfile: exit status 1"),
        ("kill -9 $$", "makedumpfile: signal 9"),
        ("yes | head -c 1000000; printf 'a\\0b\\033'; exit 1", "exit status 1: a"),
        ("exit 0", "vmcore-incomplete: No such file or directory"),
        ('echo nonsense > "$out"', "neither an ELF core nor a kdump-compressed dump"),
        ('cp "$0" "$out"', "neither an ELF core nor a kdump-compressed dump"),
    ],
)
def test_it_fails(
    tmp_path: Path, script: str, detail: str, capfd: pytest.CaptureFixture[str]
) -> None:
    done = save(tmp_path, sample()[0], collector=fake(tmp_path, script), dump_level=1)
    saved_by_us(done, detail)
    said = capfd.readouterr().err.splitlines()
    assert "kdump-initrd: warning: the saver writes the dump itself" in said
    assert any(line.startswith("kdump-initrd: error: collector: ") for line in said)


def test_its_dump_is_wrong(tmp_path: Path) -> None:
    """Another machine's memory: one page differs."""
    core, _ = sample()
    for load in core.loads:
        load.data = load.data.replace(text(3, 2), noise(3, 7))
    other = save(tmp_path, core.write(tmp_path / "other"), directory="other", dump_level=1)
    program = fake(tmp_path, f'cp {shlex.quote(str(other.dump))} "$out"')
    done = save(tmp_path, sample()[0], collector=program, dump_level=1, verify="full")
    saved_by_us(done, "verification failed: the page at 0x")


@pytest.mark.parametrize("name", ["missing", "plain"])
def test_it_cannot_be_started(tmp_path: Path, name: str) -> None:
    (tmp_path / "plain").write_text("no program")
    done = save(tmp_path, sample()[0], collector=tmp_path / name, dump_level=1)
    reason = {"missing": "No such file or directory", "plain": "Permission denied"}[name]
    saved_by_us(done, f"exit status 127: {tmp_path / name}: {reason}")


def test_truncated_vmcores_are_ours(tmp_path: Path) -> None:
    path = sample()[0].write(tmp_path / "short")
    path.write_bytes(path.read_bytes()[:-20000])
    done = save(tmp_path, path, collector=fake(tmp_path, "exit 0"), dump_level=1)
    assert done.status == 1
    assert done.step("collector")["detail"].startswith("the vmcore is truncated: ")
    assert done.report["dump"]["name"] == "vmcore-incomplete"
    assert not (tmp_path / "words").exists()


def test_it_takes_too_much_room(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(16 << 10)
    # One process: its room is free again when that has ended.
    code = "import sys, time\nwhile True: sys.stdout.write('x' * 100000); time.sleep(0.005)"
    program = fake(tmp_path, f'exec {shlex.join([sys.executable, "-SE", "-c", code])} > "$out"')
    done = save(tmp_path, sample()[0], collector=program, dump_level=1, output=disk, keep_free=60)
    saved_by_us(done, "makedumpfile: the rest of the file system is kept free")


def test_signs_of_life_are_its_file_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 10 * time.monotonic(), sleep=time.sleep)
    monkeypatch.setattr("kdump_initrd.saver.dump.collector.time", clock)
    script = 'for i in 1 2 3 4 5; do echo line; sleep 0.11; done > "$out"; sleep 1; exit 1'
    vmcore, out, progress = tmp_path / "in", tmp_path / "out", tmp_path / "progress"
    sample()[0].write(vmcore)
    options = {"dump_level": 1, "progress": progress}
    program = fake(tmp_path, script)
    assert main(arguments(vmcore, out, collector=program, **options)) == 0
    numbers = int(progress.read_text().split()[0])
    assert main(arguments(vmcore, out, **options)) == 0
    # For five seconds of fifteen, by that clock; and one for the step.
    assert 3 <= numbers - int(progress.read_text().split()[0]) <= 7
    assert "kdump-initrd: makedumpfile: 0.0 MB\n" in capfd.readouterr().err


def test_no_flattened_ones(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = arguments(tmp_path, tmp_path, collector="/bin/false", dump_format="flat")
    assert main(words) == 2
    wanted = "error: dump.collector: makedumpfile cannot write the format 'flat'"
    assert wanted in capfd.readouterr().err


@pytest.mark.qemu
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({"dump_compress": "lzo", "verify": "full"}, ["-l"]),
        ({"dump_compress": "zlib"}, ["-c"]),
        ({"dump_compress": "none"}, []),
        ({"dump_format": "elf"}, ["-E"]),
    ],
)
def test_real(tmp_path: Path, options: dict[str, object], flags: list[str]) -> None:
    vmcore = raw_vmcore(newest())
    done = save(tmp_path, vmcore, collector=MAKEDUMPFILE, dump_level=31, **options)
    assert (done.status, done.report["result"]) == (0, "saved")
    assert done.report["dump"]["collector"] == "makedumpfile"
    assert done.report["dump"]["level"] == 31
    assert done.report["dump"]["verified_pages"] > 200
    theirs = tmp_path / "theirs"
    subprocess.run(
        [MAKEDUMPFILE, *flags, "-d", "31", vmcore, theirs], capture_output=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert done.dump.read_bytes() == theirs.read_bytes()
    assert done.dump.stat().st_mode & 0o777 == 0o600
