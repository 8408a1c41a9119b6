# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of vmcore-save: words, errors, the report, the terminal, Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pytest

from kdump_initrd import __version__
from kdump_initrd.commands.verbs.convert import SETTINGS
from kdump_initrd.commands.vmcoresave import main
from kdump_initrd.saver.formats.dumpfile import open_dump
from tests.saver.logged import LOG, logged
from tests.saver.minireader import MiniReader
from tests.saver.samples import sample
from tests.saver.vmcore import X86_64, Core, text

from .manpage import PAGES, option_paragraph

COMMAND = (sys.executable, "-m", "kdump_initrd.commands.vmcoresave")
SWITCHES = ("--dmesg", "--force", "--json", "--verbose", "--quiet", "--help", "--version")
#: What ends the lines that show how far it is.
LEFT = re.compile(r"(?:0:\d\d|\d+ s) left")


_PART, _PARTS = 1 << 20, 191


@pytest.fixture
def vmcore(tmp_path: Path) -> Path:
    """A small vmcore with a log, of a crash that has no struct pages."""
    return logged(sample()[0]).write(tmp_path / "vmcore")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A vmcore that takes a second or two with zlib: many ranges of memory, one in the file."""
    data = bytes(random.Random(1).choices(b"ab", k=_PART))
    core = Core()
    for number in range(_PARTS):
        core.load(0x1000000 + number * _PART, b"")
    core.load(0x1000000 + _PARTS * _PART, data)
    raw = bytearray(core.build())
    entries = 64 + 56  # behind the ELF header and the PT_NOTE
    for at in range(entries, entries + _PARTS * 56, 56):
        struct.pack_into("<QQ", raw, at + 32, _PART, _PART)  # p_filesz, p_memsz
        raw[at + 8 : at + 16] = raw[entries + _PARTS * 56 + 8 :][:8]  # p_offset
    path = tmp_path / "large"
    path.write_bytes(raw)
    return path


def said(capfd: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Run main() at level 1; return its status, stdout and stderr."""
    status = main([*map(str, words), "--dump-level", "1", "--jobs", "1"])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


STDOUT = "more than one of the dump, the log and the report for stdout"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected VMCORE and DUMPFILE, or --dmesg and VMCORE"),
        (["a"], "expected VMCORE and DUMPFILE"),
        (["a", ""], "expected VMCORE and DUMPFILE"),
        (["a", "b", "c"], "expected VMCORE and DUMPFILE"),
        (["a", "b", "--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["a", "b", "--dump-lev", "1"], "unrecognized arguments: --dump-lev"),
        (["a", "b", "--dump-level", "32"], "--dump-level 32: not a value"),
        (["a", "b", "--dump-format", "raw"], "--dump-format raw: unknown value"),
        (["a", "b", "--dump-format", "none"], "--dump-format none: unknown value"),
        (["a", "b", "--dump-compress", "x"], "--dump-compress x: unknown value"),
        (["a", "b", "--jobs", "all"], "--jobs all: not a value"),
        (["a", "b", "--keep-free", "100"], "--keep-free 100: not a value"),
        (["a", "b", "--verify", "x"], "--verify x: unknown value"),
        (["a", "b", "--quiet", "--verbose"], "argument --verbose: not allowed with"),
        (["a", "-", "--dump-format", "elf"], "--dump-format elf: not to stdout"),
        (["a", "-", "--verify", "full"], "--verify full: not with stdout"),
        (["a", "-", "--dmesg"], STDOUT),
        (["a", "-", "--json"], STDOUT),
        (["a", "--dmesg", "--json"], STDOUT),
        (["a", "b", "--dmesg=-", "--json"], STDOUT),
    ],
)  # fmt: skip
def test_wrong_usage(capfd: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(words) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    error, hint = captured.err.splitlines()
    assert error.startswith(f"vmcore-save: error: {message}")
    assert hint.startswith("hint: ")


def refused(capfd: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Demand an error and a hint, and that nothing is written; return the error."""
    before = {path: path.lstat() for path in Path.cwd().iterdir()}
    status, out, err = said(capfd, *words)
    assert (status, out) == (1, "")
    error, hint = err.splitlines()
    assert hint.startswith("hint: ")
    assert before == {path: path.lstat() for path in Path.cwd().iterdir()}
    return error.removeprefix("vmcore-save: error: ")


def test_what_would_do_harm(
    tmp_path: Path,
    vmcore: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    taken, other, broken = Path("taken"), Path("other-incomplete"), Path("broken")
    taken.write_text("precious")
    os.link(vmcore, other)
    Path("link").symlink_to(vmcore)
    broken.symlink_to("nothing")
    Path("folder").mkdir()
    for name in ("taken", "broken"):
        assert refused(capfd, "vmcore", name) == f"{name}: exists already"
        assert refused(capfd, "--dmesg=" + name, "vmcore") == f"{name}: exists already"
    for name in ("vmcore", "link"):
        for words in (["vmcore", name], ["vmcore", f"--dmesg={name}"]):
            assert refused(capfd, *words, "--force") == f"{name}: is the input itself"
        assert refused(capfd, name, "vmcore", "--force") == "vmcore: is the input itself"
    assert refused(capfd, "vmcore", "other", "--force") == "other-incomplete: is the input itself"
    assert refused(capfd, "vmcore", "no/x", "--force") == "no: no such folder"
    assert refused(capfd, "vmcore", "folder", "--force") == "folder: is not a regular file"
    assert refused(capfd, "vmcore", "/dev/null", "--force") == "/dev/null: is not a regular file"
    wanted = "x: given for both the log and the dump"
    assert refused(capfd, "vmcore", "folder/../x", "--dmesg=x", "--force") == wanted


def test_what_is_no_dump(
    tmp_path: Path,
    vmcore: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("something else")
    Path("short").write_bytes(vmcore.read_bytes()[:100])
    Path("empty").touch()
    Path("damaged").write_bytes(b"KDUMP   " + bytes(5000))
    os.mkfifo("fifo")
    assert refused(capfd, "missing", "out") == "missing: No such file or directory"
    assert refused(capfd, "text", "out") == "text: neither an ELF core nor a kdump-compressed dump"
    assert refused(capfd, "empty", "out").startswith("empty: neither an ELF core nor")
    assert refused(capfd, "short", "out").startswith("short: truncated: ")
    assert refused(capfd, "damaged", "out") == "damaged: the dump's header is damaged"
    assert refused(capfd, "fifo", "out") == "fifo: not a file"
    assert refused(capfd, ".", "out") == ".: is a folder"


@pytest.mark.parametrize(
    ("error", "name", "hint"),
    [
        (PermissionError(13, "Permission denied"), "dump", "this needs root"),
        (
            FileNotFoundError(2, "No such file"),
            "/proc/vmcore",
            "it exists only in a capture kernel",
        ),
        (
            FileNotFoundError(2, "No such file"),
            "dump",
            "expected an ELF core or a kdump-compressed dump",
        ),
    ],
)
def test_hint_for_what_cannot_be_read(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    name: str,
    hint: str,
) -> None:
    def stat(path: Path) -> None:
        raise error

    monkeypatch.setattr("kdump_initrd.commands.conversion.Path.stat", stat)
    status, _, err = said(capfd, name, "out")
    assert (status, err.splitlines()[1].startswith(f"hint: {hint}")) == (1, True)


def test_help_lists_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for flag in (*(setting.flags[0] for setting in SETTINGS), *SWITCHES):
        assert f" {flag}" in out


def test_man_page_has_every_option() -> None:
    page = (PAGES / "vmcore-save.8").read_text(encoding="utf-8").replace("\\-", "-")
    for flag in SWITCHES:
        assert option_paragraph(page, flag)
    for setting in SETTINGS:
        paragraph = option_paragraph(page, setting.flags[0])
        assert str(setting.default) in paragraph
        for choice in setting.choices:
            assert choice in paragraph, f"{setting.flags[0]}: {choice}"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"vmcore-save (kdump-initrd) {__version__}\n"


def test_dump_and_summary(tmp_path: Path, vmcore: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dump = tmp_path / "dump"
    # Options may stand between the names.
    words = [str(vmcore), "--dump-compress", "zlib", str(dump), "--dump-level=31"]
    assert main([*words, "--jobs", "1"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    warning, *lines = err.splitlines()
    assert warning.startswith("vmcore-save: warning: dump level 31 is lowered to 1: VMCOREINFO")
    assert f"  dump      {dump}" in lines
    assert "  crash     6.1.0-test, 2023-11-14T22:13:20Z: a test" in lines
    assert "  level     1 instead of 31" in lines
    assert [line.split()[0] for line in lines] == [
        "dump", "crash", "size", "pages", "level", "verified", "sha256", "seconds",
    ]  # fmt: skip
    assert MiniReader(dump, X86_64).status == 1
    assert dump.stat().st_mode & 0o777 == 0o600
    assert said(capfd, vmcore, dump, "--quiet", "--force") == (0, "", "")
    status, _, err = said(capfd, vmcore, dump, "--verbose", "--force")
    assert status == 0
    assert err.startswith(f"vmcore-save: {vmcore}: x86_64, 4 ranges of memory\n")


def test_force(tmp_path: Path, vmcore: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dump, rest, log = (tmp_path / name for name in ("dump", "dump-incomplete", "log"))
    for path in (dump, rest, log):
        path.write_text("old")
    words = (vmcore, dump, f"--dmesg={log}")
    assert said(capfd, *words)[0] == 1
    assert said(capfd, *words, "--force")[0] == 0
    assert not rest.exists()
    assert dump.read_bytes().startswith(b"KDUMP")
    assert log.read_text().endswith(f"{LOG[-1]}\n")


def test_report(tmp_path: Path, vmcore: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dump = tmp_path / "dump"
    status, out, _ = said(capfd, vmcore, dump, "--json", "--dmesg", "--verify", "full")
    report = json.loads(out)
    assert (status, report["result"], report["error"]) == (0, "saved", "")
    assert (report["input"], report["output"]) == (str(vmcore), str(dump))
    assert report["log"] == f"{dump}.dmesg"
    assert (report["kernel_release"], report["panic"]) == ("6.1.0-test", "a test")
    assert report["crash_time"] == "2023-11-14T22:13:20Z"
    assert report["command_line"] == "root=/dev/vda quiet"
    facts = report["dump"]
    assert facts["bytes"] == dump.stat().st_size
    assert (facts["name"], facts["format"], facts["level"]) == (str(dump), "kdump", 1)
    assert facts["verified"] == "full"
    assert facts["verified_pages"] == facts["pages"] > 300
    # One that cannot be: all that is known is in it.
    status, out, _ = said(capfd, vmcore, tmp_path / "x", "--json", "--keep-free", "99")
    report = json.loads(out)
    assert (status, report["result"], report["dump"]) == (1, "failed", None)
    assert report["error"].startswith("no room for the dump: ")
    assert not (tmp_path / "x-incomplete").exists()


def test_no_room(tmp_path: Path, vmcore: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, _, err = said(capfd, vmcore, tmp_path / "dump", "--keep-free", "99")
    assert status == 1
    *_, error, hint = err.splitlines()
    assert error.startswith("vmcore-save: error: no room for the dump: ")
    assert "--keep-free" in hint


def test_log(tmp_path: Path, vmcore: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wanted = "".join(f"[    0.000000] {line}\n" for line in LOG)
    assert said(capfd, "--dmesg", vmcore) == (0, wanted, "")
    assert said(capfd, vmcore, "--dmesg") == (0, wanted, "")
    log, dump = tmp_path / "log", tmp_path / "dump"
    assert said(capfd, f"--dmesg={log}", vmcore) == (0, "", "")
    assert log.read_text() == wanted
    assert log.stat().st_mode & 0o777 == 0o600
    assert said(capfd, "--dmesg", vmcore, dump, "--quiet") == (0, "", "")
    assert (tmp_path / "dump.dmesg").read_text() == wanted
    assert said(capfd, "--dmesg=-", vmcore, dump, "--quiet", "--force") == (0, wanted, "")
    assert not list(tmp_path.glob("*-incomplete"))


def test_no_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    vmcore = sample()[0].write(tmp_path / "vmcore")
    wanted = "vmcore-save: error: log: VMCOREINFO has no SYMBOL(prb)\n"
    assert said(capfd, "--dmesg", vmcore) == (1, "", wanted)
    dump = tmp_path / "dump"
    status, out, err = said(capfd, vmcore, dump, "--dmesg", "--json", "--quiet")
    report = json.loads(out)
    assert (status, report["result"], err) == (1, "incomplete", wanted)
    assert report["error"] == "log: VMCOREINFO has no SYMBOL(prb)"
    assert report["dump"]["name"] == str(dump)
    assert {path.name for path in tmp_path.iterdir()} == {"vmcore", "dump"}
    # Nobody asked for one.
    assert said(capfd, vmcore, dump, "--quiet", "--force") == (0, "", "")


def test_incomplete(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    vmcore = tmp_path / "vmcore"
    data = Core().load(0x100000, text(40)).build()
    vmcore.write_bytes(data[: -10 * 4096])
    status, out, err = said(capfd, vmcore, tmp_path / "dump", "--json")
    assert status == 1
    error, hint = err.splitlines()
    wanted = "the vmcore is truncated: 10 pages are missing; 10 of 30 pages are lost"
    assert error == f"vmcore-save: error: dump: {wanted}"
    assert hint == f"hint: what could be saved is in {tmp_path}/dump-incomplete"
    report = json.loads(out)
    assert report["result"] == "incomplete"
    assert report["dump"]["name"] == f"{tmp_path}/dump-incomplete"
    assert {path.name for path in tmp_path.iterdir()} == {"vmcore", "dump-incomplete"}
    # It can be converted itself, but not into what it may be mistaken for.
    incomplete = tmp_path / "dump-incomplete"
    assert said(capfd, incomplete, tmp_path / "dump", "--force")[0] == 1
    assert said(capfd, incomplete, tmp_path / "other", "--quiet")[0] == 0


def test_module_is_the_command_and_streams(tmp_path: Path, vmcore: Path) -> None:
    done = subprocess.run([*COMMAND], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("vmcore-save: error: expected VMCORE and DUMPFILE")
    words: list[str | Path] = [*COMMAND, vmcore, "-", "--dump-level", "1", "--jobs", "2"]
    done_bytes = subprocess.run(words, capture_output=True, timeout=30, check=True)
    flat = tmp_path / "flat"
    flat.write_bytes(done_bytes.stdout)
    assert flat.read_bytes().startswith(b"makedumpfile\0")
    assert b"  dump      -\n" in done_bytes.stderr
    with closing(open_dump(str(flat))) as dump:
        assert dump.read_physical(0x100000, 100) == text(20)[:100]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_nobody_reads_the_stream(large: Path, jobs: str) -> None:
    words: list[str | Path] = [*COMMAND, large, "-", "--dump-level", "1", "--jobs", jobs]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert len(child.stdout.read(100000)) == 100000
        child.stdout.close()
        err = child.stderr.read().decode()
        assert child.wait(30) == 1
    (line,) = err.splitlines()
    assert line.startswith("vmcore-save: error: dump: the dump cannot be written: Broken pipe; ")


def test_nobody_reads_the_log(vmcore: Path) -> None:
    words: list[str | Path] = [*COMMAND, "--dmesg", vmcore]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(30) == 0


@contextmanager
def terminal(
    *words: str | Path, columns: int = 80
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Run vmcore-save in a session of its own, with a terminal for its stderr."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(
        [*COMMAND, *words], stderr=theirs, stdout=subprocess.PIPE, start_new_session=True
    )
    os.close(theirs)
    with child, os.fdopen(ours, "rb", buffering=0) as screen:
        yield child, screen


def shown(screen: IO[bytes], until: Callable[[str], bool] = lambda _: False) -> str:
    """Return what comes to the screen until its end, or until that suffices."""
    found = ""
    while not until(found):
        try:
            part = screen.read(4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        found += part.decode()
    return found


@pytest.mark.parametrize("columns", [80, 40])
def test_bar_on_a_terminal(tmp_path: Path, large: Path, columns: int) -> None:
    words = (
        large,
        tmp_path / "dump",
        "--jobs",
        "1",
        "--dump-level",
        "1",
        "--dump-compress",
        "zlib",
    )
    with terminal(*words, columns=columns) as (child, screen):
        text = shown(screen)
        assert child.wait(30) == 0
    *bars, last = text.replace("\r\n", "\n").split("\r")
    bars = [bar for bar in bars if bar.strip()]
    assert len(bars) > 2
    for bar in bars:
        assert len(bar) < columns
        assert "\n" not in bar
        assert LEFT.search(bar)
        assert ("[" in bar) == (columns == 80)
    assert any(bar.startswith("saving    ") for bar in bars)
    # Erased at the end: the summary begins on an empty line.
    assert text.replace("\r\n", "\n").rsplit("\r", 2)[1].strip() == ""
    assert last.startswith("  dump      ")


def test_a_terminal_and_quiet(tmp_path: Path, vmcore: Path) -> None:
    with terminal(vmcore, tmp_path / "dump", "--dump-level", "1", "--quiet") as (child, screen):
        assert shown(screen) == ""
        assert child.wait(30) == 0


def test_a_terminal_gets_no_dump(vmcore: Path) -> None:
    ours, theirs = os.openpty()
    done = subprocess.run(
        [*COMMAND, vmcore, "-"], stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert done.stderr.startswith("vmcore-save: error: a dump is not written to a terminal\nhint: ")


def test_lines_elsewhere(
    tmp_path: Path,
    large: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kdump_initrd.saver.low.progress.Progress.first", 0.0)
    monkeypatch.setattr("kdump_initrd.saver.low.progress.Progress.every", 0.05)
    status, _, err = said(capfd, large, tmp_path / "dump")
    lines = [line for line in err.splitlines() if "left" in line and "MB/s" in line]
    assert status == 0
    assert len(lines) > 2
    assert all(re.fullmatch(r"vmcore-save: .*\d+ %, .* MB/s, \d+ s left", line) for line in lines)
    assert "\r" not in err
    assert said(capfd, large, tmp_path / "dump2", "--quiet") == (0, "", "")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c(tmp_path: Path, large: Path, jobs: str) -> None:
    words = (large, tmp_path / "dump", "--json", "--dump-level", "1", "--dump-compress", "zlib")
    with terminal(*words, "--jobs", jobs) as (child, screen):
        shown(screen, lambda text: "saving" in text)
        os.killpg(child.pid, signal.SIGINT)
        text = shown(screen)
        assert child.stdout is not None
        report = json.loads(child.stdout.read())
        assert child.wait(30) == 130
        assert not processes_of(child.pid)
    assert "Traceback" not in text
    lines = text.replace("\r\n", "\n").split("\r")[-1].splitlines()
    assert lines[0].startswith("vmcore-save: error: dump: interrupted; ")
    assert lines[1:] == [f"hint: what could be saved is in {tmp_path}/dump-incomplete"]
    assert (report["result"], report["error"]) == ("incomplete", "interrupted")
    assert {path.name for path in tmp_path.iterdir()} == {"large", "dump-incomplete"}
    dump = MiniReader(tmp_path / "dump-incomplete", X86_64)
    assert dump.status == 1 | 8
    good = [pfn for pfn, desc in dump.pages.items() if desc.offset]
    assert 0 < len(good) < len(dump.pages)


def processes_of(session: int) -> list[int]:
    """Return the processes of a session that are left after half a second."""
    deadline = time.monotonic() + 0.5
    while True:
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(path.parent.name))
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def test_ctrl_c_before_anything(
    tmp_path: Path,
    vmcore: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr("kdump_initrd.saver.dump.pagechoice.PageFilter", interrupt)
    before = signal.getsignal(signal.SIGINT)
    assert said(capfd, vmcore, tmp_path / "dump") == (130, "", "vmcore-save: error: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is before
    assert {path.name for path in tmp_path.iterdir()} == {"vmcore"}


def test_a_bug_is_one_line(
    tmp_path: Path,
    vmcore: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("of all things")

    monkeypatch.setattr("kdump_initrd.saver.dump.pagechoice.PageFilter", fail)
    status, out, err = said(capfd, vmcore, tmp_path / "dump")
    assert (status, out) == (1, "")
    assert re.fullmatch(r"vmcore-save: error: ValueError: of all things \(\w+\.py:\d+\)\n", err)
