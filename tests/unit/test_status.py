# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd status``: a ready machine, broken ones, and what it says of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.commands import answers
from kdump_initrd.commands.admin import main
from kdump_initrd.commands.answers import Answer
from kdump_initrd.commands.verbs.status import Status
from kdump_initrd.core import exits
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.image import reservation
from kdump_initrd.upkeep.ready import chain
from kdump_initrd.upkeep.ready.link import NO, UNKNOWN, YES, Link, answer

from . import machines
from .brokenmachines import BROKEN
from .machines import ENOUGH
from .refreshroots import NEWER, Host
from .thiskernel import RELEASE

REPO = Path(__file__).parents[2]
NAMES = [
    *("settings", "image", "reservation", "loaded", "other tools", "target", "last crash"),
    "last test",
]


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine that is ready."""
    return machines.ready(tmp_path_factory.mktemp("status") / "root")


@pytest.fixture
def host(pattern: Path) -> Iterator[Host]:
    """A copy of it."""
    with machines.copied(pattern) as host:
        yield host


def look(host: Host) -> dict[str, Link]:
    return {link.name: link for link in chain.look(host.root, None)}


def test_a_machine_that_is_ready(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--root", str(host.root)]) == exits.DONE
    captured = capsys.readouterr()
    assert captured.err == ""
    first, *rows = captured.out.splitlines()
    assert first == "ready: a crash of this machine would be saved"
    assert [row.split()[0] for row in rows] == [YES] * len(NAMES)
    links = look(host)
    assert [*links] == NAMES
    assert {link.hint for link in links.values()} == {""}
    assert links["reservation"].facts["reserved_mib"] == ENOUGH
    assert links["loaded"].facts["by"] == "first-kernel"
    assert links["last crash"].facts["result"] == "saved"


def test_a_dump_that_will_lack_something(host: Host) -> None:
    """As the hook says it on riscv64."""
    machines.load(host, loaded=True, lacks="x: wait for y")
    link = look(host)["loaded"]
    assert (link.answer, link.facts["by"]) == (YES, "first-kernel")
    assert link.text.endswith("but the dump will lack x: wait for y")


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_machine(host: Host, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The one broken link is named, and no other: first which it is, at last what mends it."""
    breaking, name, text, hint = BROKEN[what]
    breaking(host)
    links = look(host)
    assert [link.name for link in links.values() if link.answer == NO] == [name]
    assert text in links[name].text
    assert hint in links[name].hint
    assert main(["status", "--root", str(host.root)]) == exits.NO
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"not ready: {name}: ")
    assert text in out[0]
    assert out[-1] == f"hint: {name}: {links[name].hint}"


def test_what_cannot_be_looked_at_is_no_yes(host: Host) -> None:
    kept = host.root / "sys"
    kept.rename(kept.with_name("not-mounted"))
    assert look(host)["reservation"].text == "not looked at: this system does not run"
    kept.with_name("not-mounted").rename(kept)
    (host.root / "proc/cmdline").unlink()
    links = look(host)
    assert answer([*links.values()]) == UNKNOWN
    assert {links[name].text for name in ("reservation", "loaded")} == {
        "not looked at: this system does not run"
    }
    machines.mount(host, "")
    assert look(host)["last crash"].text == "not looked at: the target is not mounted here"


def test_a_test_is_told_from_a_crash(host: Host) -> None:
    """It is newer, and was wanted; the other one is still there."""
    assert look(host)["last test"].text == "none"
    machines.report(host, "202611030303", "saved", "sysrq triggered crash")
    links = look(host)
    assert links["last test"].facts["crash_time"] == "202611030303Z"
    assert links["last crash"].facts["crash_time"] == "202611010101Z"


def test_an_image_that_cannot_be_read_is_not_known_to_be_good(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise KdumpInitrdError(f"{path}: damaged")

    monkeypatch.setattr(reservation, "weigh", refuse)
    links = look(host)
    assert links["reservation"].answer == UNKNOWN
    assert "damaged" in links["reservation"].text
    assert answer([*links.values()]) == UNKNOWN


def test_every_target_is_looked_at(host: Host) -> None:
    """One that is not here does not decide if another one is."""
    path = host.root / f"var/lib/kdump-initrd/capture-{RELEASE}.json"
    table = json.loads(path.read_text())
    (first,) = json.loads(table["settings"]["targets"])
    other = {**first, "to": "LABEL=elsewhere"}
    for targets, decides in (([other, first], False), ([first, other], False), ([other], True)):
        table["settings"]["targets"] = json.dumps(targets)
        host.write(path.relative_to(host.root).as_posix(), json.dumps(table))
        links = look(host)
        found = {name: link for name, link in links.items() if name.startswith("target")}
        assert [*found] == ["target", "target 2"][: len(targets)]
        (missing,) = [link for link in found.values() if link.answer == NO]
        assert missing.text == "LABEL=elsewhere is not here"
        assert missing.decides == decides
        assert answer([*links.values()]) == (NO if decides else YES)


def test_an_image_that_was_built_by_hand(host: Host) -> None:
    """It tells itself for which kernel it is and where it saves, but not whether it is current."""
    before = look(host)
    (host.root / f"var/lib/kdump-initrd/capture-{RELEASE}.json").unlink()
    links = look(host)
    assert answer([*links.values()]) == YES
    assert links["image"].text == (
        f"{host.capture}, for the running kernel {RELEASE}; not on record, so it may be outdated"
    )
    assert links["image"].hint == "mkinitrd-kdump --refresh"
    assert links["image"].facts == before["image"].facts
    for name in ("reservation", "target", "last crash"):
        assert (links[name].answer, links[name].facts.keys()) == (YES, before[name].facts.keys())
    assert links["target"].facts["target"] == before["target"].facts["target"]
    host.write("etc/kdump-initrd.toml", "[refresh]\nimages = []\n")
    assert look(host)["image"].hint == ""
    host.write("proc/sys/kernel/osrelease", f"{NEWER}\n")
    host.write(f"boot/vmlinuz-{NEWER}", "")
    link = look(host)["image"]
    assert (link.answer, link.hint) == (NO, f"mkinitrd-kdump -c DEV -f FS {NEWER}")
    host.capture.rename(host.capture.with_name(host.capture.name.replace(RELEASE, NEWER)))
    assert look(host)["image"].text.endswith(f": is for the kernel {RELEASE}")


@pytest.mark.parametrize(
    ("name", "value"),
    [("dump_compress", "brotli"), ("dump_level", "high"), ("targets", 5), ("targets", [{}])],
)
def test_a_record_of_another_version_tells_no_target(host: Host, name: str, value: object) -> None:
    """The image does; and if it does not either, the target is not known."""
    path = host.root / f"var/lib/kdump-initrd/capture-{RELEASE}.json"
    table = json.loads(path.read_text())
    table["settings"][name] = json.dumps(value)
    host.write(path.relative_to(host.root).as_posix(), json.dumps(table))
    assert look(host)["target"].answer == YES
    host.write(host.capture.relative_to(host.root).as_posix(), "")
    link = look(host)["target"]
    assert (link.answer, link.facts) == (UNKNOWN, {})
    assert link.text == "not looked at: the image does not tell where dumps go"


def test_a_crash_that_was_not_saved_does_not_make_it_unready(host: Host) -> None:
    folder = machines.report(host, "202611020202", "incomplete")
    link = look(host)["last crash"]
    assert (link.answer, link.decides) == (NO, False)
    assert link.hint == f"less {folder}/report.json"
    assert answer([*look(host).values()]) == YES


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_a_terminal_would_obey_is_only_shown(host: Host, encoding: str) -> None:
    """A report is whatever the disk has; each link stays one line, and JSON is JSON."""
    odd = "sa\x1b[31mved\nnot ready \ud800 é"
    machines.report(host, "202611020202", odd)
    start = "import sys; from kdump_initrd.commands.start import admin; sys.exit(admin())"
    argv = [sys.executable, "-c", start, "status", "--root", str(host.root)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = [
        subprocess.run(
            [*argv, *more], cwd=REPO, env=environment, capture_output=True, timeout=60, check=False
        )
        for more in ([], ["--json"])
    ]
    assert [(each.returncode, each.stderr) for each in done] == [(exits.DONE, b"")] * 2
    text = done[0].stdout.decode(encoding)
    (row,) = [line for line in text.splitlines() if "last crash " in line and "hint" not in line]
    assert r"sa\x1b[31mved\nnot ready \ud800 " in row
    assert len(text.splitlines()) == 1 + len(NAMES) + 2
    links = {each["name"]: each for each in json.loads(done[1].stdout)["links"]}
    assert links["last crash"]["facts"]["result"] == odd


def test_memory_that_is_cma_counts(host: Host) -> None:
    machines.reserve(host, 32)
    assert look(host)["reservation"].answer == NO
    # 480 MiB; the last byte belongs to the range.
    host.write("sys/kernel/kexec/crash_cma_ranges", "40000000-5dffffff\n")
    link = look(host)["reservation"]
    assert (link.answer, link.facts["cma_mib"]) == (YES, ENOUGH - 32)
    host.write("sys/kernel/kexec/crash_cma_ranges", "garbage\n")
    assert look(host)["reservation"].answer == NO


def test_json_has_a_version_and_the_same_answers(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    machines.load(host, loaded=False)
    assert main(["status", "--json", "--root", str(host.root)]) == exits.NO
    table: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (table["schema"], table["answer"]) == (answers.SCHEMA, NO)
    assert table["text"].startswith("not ready: loaded: ")
    hint = f"loaded: {look(host)['loaded'].hint}"
    assert table["hints"] == [f"in {host.root}, not here:", hint]
    assert {each["name"]: each["answer"] for each in table["links"]} == {
        link.name: link.answer for link in look(host).values()
    }
    page = (REPO / "docs/man/kdump-initrd-json.5").read_text().replace("\\-", "-")
    named = {field for each in table["links"] for field in (*each, *each["facts"])}
    assert {field for field in {*table, *named} if f"\n.B {field}\n" not in page} == set()


def test_nothing_outside_the_root_is_read(host: Host) -> None:
    (host.root / "etc/kdump-initrd.toml").unlink()
    (host.root / "etc/kdump-initrd.toml").symlink_to("/../../../../etc/passwd")
    (host.root / "proc/cmdline").unlink()
    (host.root / "proc/cmdline").symlink_to("/etc/hostname")
    allowed = (str(host.root), str(REPO), sys.prefix, sys.base_prefix, "/proc/self/")
    seen: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in ("open", "os.scandir", "os.listdir"):
            seen.append("" if isinstance(arguments[0], int) else os.fsdecode(arguments[0]))
        if watching and event == "subprocess.Popen":
            seen.append(f"program {arguments[0]}")

    watching = False
    sys.addaudithook(hook)
    watching = True
    look(host)
    watching = False
    assert seen
    assert [name for name in seen if name and not name.startswith(allowed)] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected a verb: status"),
        (["stat"], "stat: no such verb"),
        (["--root", "/mnt"], "unrecognized arguments: --root"),
        (["status", "now"], "now: status takes options only"),
        (["status", "--jsn"], "unrecognized arguments: --jsn"),
        (["status", "--root", ""], "--root: the value is empty"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == exits.USAGE
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"kdump-initrd: error: {message}")
    assert hint.startswith("hint: ")


def test_no_such_root(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--root", "/nowhere"]) == exits.ERROR
    assert "--root /nowhere: no such directory" in capsys.readouterr().err


def test_what_was_asked_is_asked_again_by_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    asked = Status(Path("/mnt/a b"), "debian", json=True)
    (*_, hint) = answers.lines(Answer(UNKNOWN, "?"), command=asked.command, coloured=False)
    assert hint.endswith(": sudo kdump-initrd status --root '/mnt/a b' --distro debian --json")


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert answers.on_terminal()
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            assert not answers.on_terminal()


def test_a_table_is_aligned() -> None:
    rows = [(YES, "1", "well"), (UNKNOWN, "23", "not well"), ("other", "", "")]
    answer = Answer(NO, "no: it", rows, ("answer", "size", "why"), right={1}, hints=["mend it"])
    plain, coloured = (
        [*answers.lines(answer, command=["x"], coloured=coloured)] for coloured in (False, True)
    )
    assert plain == [
        "no: it",
        "  answer   size  why",
        "  yes         1  well",
        "  unknown    23  not well",
        "  other",
        "hint: mend it",
    ]
    assert coloured[0] == "\033[31mno: it\033[m"
    assert coloured[2] == "  \033[32myes\033[m         1  well"
    assert [*answers.lines(Answer(YES, "done"), command=["x"], coloured=False)] == ["done"]


def test_templates_are_not_needed_for_an_answer(host: Host) -> None:
    """Jinja takes a sixth of the time that status may take."""
    start = "import sys; from kdump_initrd.commands.admin import main; main(sys.argv[1:]); "
    start += "sys.exit('jinja2' in sys.modules)"
    argv = [sys.executable, "-c", start, "status", "--root", str(host.root)]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("verb", ["status", "check", "estimate"])
def test_who_is_not_root_gets_an_answer_of_this_host(verb: str) -> None:
    start = "import sys; from kdump_initrd.commands.start import admin; sys.exit(admin())"
    argv = [sys.executable, "-c", start, verb, "--json"]
    done = subprocess.run(
        argv, cwd=REPO, capture_output=True, text=True, timeout=60, check=False, user=65534
    )
    assert done.stderr == ""
    table = json.loads(done.stdout)
    assert verb != "status" or [each["name"] for each in table["links"]] == NAMES
    assert done.returncode == answers.STATUSES[table["answer"]]
