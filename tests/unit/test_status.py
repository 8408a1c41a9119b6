# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd status``: a ready machine, broken ones, and what it says of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.commands import answers
from kdump_initrd.commands.admin import main
from kdump_initrd.commands.answers import Answer
from kdump_initrd.core import exits
from kdump_initrd.upkeep.ready import chain
from kdump_initrd.upkeep.ready.link import NO, UNKNOWN, YES, Link, answer

from . import machines, refreshroots
from .machines import DISK, ENOUGH, NUMBER
from .refreshroots import CONFIGURATION, NEWER, Host
from .thiskernel import RELEASE

REPO = Path(__file__).parents[2]
CAPTURE = f"boot/initrd.img-{RELEASE}-kdump"
NAMES = [
    *("settings", "image", "reservation", "loaded", "other tools", "target", "last crash"),
]


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine that is ready."""
    root = refreshroots.make(tmp_path_factory.mktemp("status") / "root")
    assert Host(root).run() == 0
    machines.start(Host(root))
    return root


@pytest.fixture
def host(pattern: Path) -> Iterator[Host]:
    """A copy of it at the same place, so that the records are about it."""
    kept = pattern.with_name("kept")
    pattern.rename(kept)
    shutil.copytree(kept, pattern, symlinks=True, copy_function=os.link)
    try:
        yield Host(pattern)
    finally:
        shutil.rmtree(pattern)
        kept.rename(pattern)


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
    assert links["loaded"].facts["by"] == "kdump-initrd"
    assert links["last crash"].facts["result"] == "saved"


def test_a_dump_that_will_lack_something(host: Host) -> None:
    """As the hook says it on riscv64."""
    machines.load(host, loaded=True, log="loaded in 12 ms, but the dump will lack x: wait for y")
    link = look(host)["loaded"]
    assert (link.answer, link.facts["by"]) == (YES, "kdump-initrd")
    assert link.text.endswith("but the dump will lack x: wait for y")


def _cmdline(host: Host, text: str) -> None:
    machines.reserve(host, 0)
    machines.load(host, loaded=False)
    host.write("proc/cmdline", text)


def _configured(host: Host) -> None:
    _cmdline(host, "quiet\n")
    host.write("boot/grub/grub.cfg", "linux /vmlinuz crashkernel=256M\n")


def _other_tool(host: Host) -> None:
    wants = host.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "kdump.service").symlink_to("/lib/systemd/system/kdump.service")


def _gone(name: str) -> Callable[[Host], None]:
    return lambda host: (host.root / name).unlink()


def _text(name: str, text: str) -> Callable[[Host], None]:
    return lambda host: host.write(name, text)


def _too_small(host: Host) -> None:
    machines.reserve(host, 32)
    host.write("proc/cmdline", "crashkernel=32M\n")


def _xfs_unmounted(host: Host) -> None:
    machines.mount(host, "")
    host.write(f"run/udev/data/b{NUMBER}", "S:disk\nE:ID_FS_TYPE=xfs\n")


BROKEN: dict[str, tuple[Callable[[Host], None], str, str, str]] = {
    "no-word": (
        *(lambda host: _cmdline(host, "quiet\n"), "reservation"),
        *("no memory is reserved", "crashkernel="),
    ),
    "not-restarted": (_configured, "reservation", "not in effect yet", "restart"),
    "not-reserved": (
        *(lambda host: _cmdline(host, "crashkernel=9G\n"), "reservation"),
        *("could not reserve", "dmesg | grep -i crashkernel"),
    ),
    "too-small": (_too_small, "reservation", "too little, the image needs", "crashkernel="),
    "refused": (
        *(lambda host: machines.load(host, loaded=False, log="not armed: lockdown"), "loaded"),
        *("lockdown", "restart"),
    ),
    "not-loaded": (
        *(lambda host: machines.load(host, loaded=False), "loaded"),
        *("started before its initrd was built", "restart"),
    ),
    "other-tool": (
        _other_tool, "other tools", "kdump.service also", "systemctl disable --now kdump.service"
    ),
    "typo": (
        _text("etc/kdump-initrd.toml", f"{CONFIGURATION}dump-levl = 1\n"),
        *("settings", "image.dump-levl: unknown key", "mkinitrd-kdump --check-config"),
    ),
    "changed-setting": (
        _text("etc/kdump-initrd.toml", CONFIGURATION.replace("ext4", "xfs")),
        *("image", "etc/kdump-initrd.toml has changed", "mkinitrd-kdump --refresh"),
    ),
    "changed-program": (
        _text("usr/bin/busybox", "another"),
        *("image", "usr/bin/busybox has changed", "mkinitrd-kdump --refresh"),
    ),
    "no-image": (_gone(CAPTURE), "image", "changed or removed", "mkinitrd-kdump --refresh"),
    "new-initrd": (
        _text(f"boot/initrd.img-{RELEASE}", "the distribution's, without our segment"),
        *("image", f"initrd.img-{RELEASE}: it has been changed", "mkinitrd-kdump --refresh"),
    ),
    "not-armed-by-any": (
        _gone(f"var/lib/kdump-initrd/first-kernel-{RELEASE}.json"),
        *("image", "no initrd", "mkinitrd-kdump --refresh"),
    ),
    "new-kernel": (
        _text("proc/sys/kernel/osrelease", f"{NEWER}\n"),
        *("image", f"none for the running kernel {NEWER}", "mkinitrd-kdump --refresh"),
    ),
    "no-disk": (
        lambda host: shutil.rmtree(host.root / "dev/disk/by-uuid"),
        *("target", "is not here", "lsblk"),
    ),
    "dead-link": (_gone(f"dev/{DISK}"), "target", "is not here", "lsblk"),
    "another-type": (
        lambda host: machines.mount(host, "xfs"),
        *("target", "holds xfs, and the image mounts ext4", "mkinitrd-kdump --refresh"),
    ),
    "another-type-unmounted": (
        _xfs_unmounted, "target", "holds xfs, and the image mounts ext4", "mkinitrd-kdump --refresh"
    ),
    "no-room": (
        _text("proc/meminfo", f"MemTotal: {1 << 50} kB\nMemFree: 0 kB\n"),
        *("target", "a dump takes about", "make room"),
    ),
}  # fmt: skip


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
    (host.root / "proc/cmdline").unlink()
    links = look(host)
    assert answer([*links.values()]) == UNKNOWN
    assert {links[name].text for name in ("reservation", "loaded")} == {
        "not looked at: this system does not run"
    }
    machines.mount(host, "")
    assert look(host)["last crash"].text == "not looked at: the target is not mounted here"


def test_a_crash_that_was_not_saved_does_not_make_it_unready(host: Host) -> None:
    folder = machines.report(host, "202611020202", "incomplete")
    link = look(host)["last crash"]
    assert (link.answer, link.decides) == (NO, False)
    assert link.hint == f"less {folder}/report.json"
    assert answer([*look(host).values()]) == YES


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
    assert table["hints"] == [f"loaded: {look(host)['loaded'].hint}"]
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
    allowed = (str(host.root), str(REPO), sys.prefix, sys.base_prefix, "/proc/self/fd/")
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


def test_who_is_not_root_gets_an_answer_of_this_host() -> None:
    start = "import sys; from kdump_initrd.commands.start import admin; sys.exit(admin())"
    argv = [sys.executable, "-c", start, "status", "--json"]
    done = subprocess.run(
        argv, cwd=REPO, capture_output=True, text=True, timeout=60, check=False, user=65534
    )
    assert done.stderr == ""
    table = json.loads(done.stdout)
    assert [each["name"] for each in table["links"]] == NAMES
    assert done.returncode == answers.STATUSES[table["answer"]]
