# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd reserve`` on a root of each boot loader, with stand-ins for the tools."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.bootloaders.ways import WAYS
from kdump_initrd.commands.admin import main
from kdump_initrd.core import exits
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image import reservation
from kdump_initrd.probe.distro import profilekeys, profiles
from kdump_initrd.upkeep import record
from kdump_initrd.upkeep.reserving import nextboot, putting

from .layouts import LAYOUTS, LINE, Host, put

USUAL = f"crashkernel={reservation.USUAL}M"
#: More than is needed, and another one.
BY_HAND, OTHER = "crashkernel=333M", "crashkernel=200M"

Reserve = Callable[..., tuple[int, str, str]]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A root that counts as the running system, whose tools are stand-ins."""
    monkeypatch.setattr(Root, "is_host", property(lambda self: True))
    made = Host(tmp_path)
    monkeypatch.setenv("PATH", f"{made.programs}:{os.environ['PATH']}")
    return made


@pytest.fixture
def reserve(host: Host, capsys: pytest.CaptureFixture[str]) -> Reserve:
    def run(*words: str) -> tuple[int, str, str]:
        status = main(["reserve", "--root", str(host.root), *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def asked(reserve: Reserve, *words: str) -> dict[str, Any]:
    _, out, _ = reserve(*words, "--json")
    found: dict[str, Any] = json.loads(out)
    return found


def next_boot(reserve: Reserve) -> set[str]:
    """Return the words of the next boot; they are the same for each of its command lines."""
    found = {" ".join(each["words"]) for each in asked(reserve)["next_boot"]}
    assert len(found) == 1
    return found


every = pytest.mark.parametrize("name", LAYOUTS)
#: Those that a tool makes what the boot loader reads of what we write.
made_by_a_tool = pytest.mark.parametrize("name", sorted(LAYOUTS.keys() - {"zipl"}))


def test_profiles_know_all_ways() -> None:
    assert {*profilekeys.WAYS} == WAYS.keys()


def test_there_is_a_root_for_each_boot_loader() -> None:
    """Of UKIs it is in test_real_tools.py."""
    shipped = search_path("distros", root=Root(Path("/nonexistent")))
    profile = profiles.load("linux", search_path=shipped, root=Root())
    assert profile.bootloaders.keys() == {*LAYOUTS, "uki"}


@every
def test_set_twice_is_set_once_and_unset_undoes_it(host: Host, reserve: Reserve, name: str) -> None:
    host.make(name)
    before = host.files()
    assert reserve("--check")[0] == exits.NO
    assert asked(reserve)["boot_loader"] == name
    status, out, err = reserve("--set")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"{USUAL} is set, by {name}",
        "hint: restart: memory is reserved when the kernel starts",
    ]
    assert {call[0] for call in host.calls()} == {LAYOUTS[name].tool}
    assert next_boot(reserve) == {USUAL}
    assert reserve("--check")[:2] == (0, f"yes: {USUAL} is in {place(reserve)}\n")
    after = host.files()
    assert reserve("--set")[0] == 0
    assert (host.calls(), host.files()) == ([], after)
    assert reserve("--unset")[0] == 0
    assert host.files() == before
    assert not (host.root / "var/lib/kdump-initrd").exists()
    assert reserve("--unset")[1] == "nothing is there of kdump-initrd\n"


def place(reserve: Reserve) -> str:
    first, *more = dict.fromkeys(each["file"] for each in asked(reserve)["next_boot"])
    return f"{first}{f' and {len(more)} more' if more else ''}"


@every
def test_another_size_takes_the_place_of_ours(host: Host, reserve: Reserve, name: str) -> None:
    host.make(name)
    before = host.files()
    for size in ("160M", "1G-4G:160M,4G-64G:192M,64G-:256M", "300M,high 72M,low"):
        if name in ("grubby",) and " " in size:
            continue
        assert reserve("--set", size)[0] == 0
        assert next_boot(reserve) == {" ".join(f"crashkernel={word}" for word in size.split())}
    assert reserve("--unset")[0] == 0
    assert host.files() == before


@every
def test_what_a_person_has_written_stays(host: Host, reserve: Reserve, name: str) -> None:
    """It is enough, or an error that names its place; --force is undone, too."""
    host.make(name)
    LAYOUTS[name].by_hand(host.root, BY_HAND)
    before = host.files()
    status, out, _ = reserve("--set")
    assert (status, out.startswith(f"{BY_HAND} is there already, written by hand: ")) == (0, True)
    status, out, err = reserve("--set", OTHER)
    assert (status, out) == (exits.ERROR, "")
    assert f" has {BY_HAND}, which kdump-initrd has not written" in err
    assert "--force" in err
    assert (host.files(), host.calls()) == (before, [])
    assert reserve("--set", OTHER, "--force")[0] == 0
    assert reserve("--check")[0] == 0
    (words,) = next_boot(reserve)
    assert words.split()[-1] == OTHER
    assert reserve("--unset")[0] == 0
    assert next_boot(reserve) == {BY_HAND}
    now = host.files()
    if name == "pbl":
        # It makes the menu before the file has its words in their old order again.
        del now["boot/grub2/grub.cfg"], before["boot/grub2/grub.cfg"]
    assert now == before
    assert BY_HAND in reserve("--unset")[1]
    assert reserve("--unset", "--force")[0] == 0
    assert next_boot(reserve) == {""}


@made_by_a_tool
def test_a_tool_that_does_not_do_it_is_an_error(host: Host, reserve: Reserve, name: str) -> None:
    host.make(name)
    tool = LAYOUTS[name].tool
    good = (host.programs / tool).read_text()
    if name == "rpm-ostree":
        host.lame(tool)
    else:
        host.lame(tool)
        status, out, err = reserve("--set")
        assert (status, out) == (exits.ERROR, "")
        assert f"has no crashkernel=: {name} still boots without {USUAL}" in err
    assert reserve("--check")[0] in (exits.NO, exits.DONE if name == "rpm-ostree" else exits.NO)
    (host.programs / tool).write_text(good)
    # What was begun is finished.
    assert reserve("--set")[0] == 0
    assert next_boot(reserve) == {USUAL}
    assert reserve("--unset")[0] == 0


@made_by_a_tool
def test_a_tool_that_fails_is_an_error(host: Host, reserve: Reserve, name: str) -> None:
    host.make(name)
    path = host.programs / LAYOUTS[name].tool
    good = path.read_text()
    path.write_text("#!/bin/sh\necho no room >&2\nexit 7\n")
    status, out, err = reserve("--set")
    assert (status, out) == (exits.ERROR, "")
    assert "exit status 7" in err
    assert "no room" in err
    path.write_text(good)
    assert reserve("--set")[0] == 0
    assert next_boot(reserve) == {USUAL}


@every
def test_nothing_of_another_root_is_run(
    host: Host, reserve: Reserve, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.make(name)
    monkeypatch.setattr(Root, "is_host", property(lambda self: False))
    status, out, err = reserve("--set")
    assert (status, err) == (0, "")
    assert host.calls() == []
    hints = [line for line in out.splitlines() if line.startswith("hint: run this in ")]
    assert hints
    assert all(f"{host.root}: {LAYOUTS[name].tool}" in hint for hint in hints)
    found = asked(reserve, "--set")
    assert {command.split()[0] for command in found["run"]} == {LAYOUTS[name].tool}


def test_a_file_that_is_not_there_is_made_and_goes_again(host: Host, reserve: Reserve) -> None:
    """kernel-install takes the running command line then, and so do we."""
    host.make("kernel-install")
    path = host.root / "etc/kernel/cmdline"
    path.unlink()
    assert reserve("--set")[0] == 0
    assert path.read_text() == f"root=UUID=1 ro quiet {USUAL}\n"
    assert reserve("--unset")[0] == 0
    assert not path.exists()
    assert reserve("--set")[0] == 0
    path.write_text(f"another {USUAL}\n")
    assert reserve("--unset")[0] == 0
    assert path.read_text() == "another\n"


def test_no_file_and_a_word_by_hand_in_an_entry(host: Host, reserve: Reserve) -> None:
    host.make("kernel-install")
    (host.root / "etc/kernel/cmdline").unlink()
    put(host.root, "efi/loader/entries/mine.conf", f"linux /x\noptions a  {BY_HAND} b\n")
    before = host.files()
    assert reserve("--set", OTHER, "--force")[0] == 0
    assert next_boot(reserve) == {OTHER}
    assert reserve("--unset")[0] == 0
    assert host.files() == before


def test_entries_that_were_written_by_hand(host: Host, reserve: Reserve) -> None:
    host.make("kernel-install")
    entry = host.root / "efi/loader/entries/arch.conf"
    entry.write_text("# mine\ntitle Arch\nlinux /vmlinuz-linux\noptions root=/dev/a\noptions rw\n")
    before = entry.read_text()
    assert reserve("--set")[0] == 0
    assert entry.read_text() == before.replace("rw\n", f"rw {USUAL}\n")
    assert {call[0] for call in host.calls()} == {"kernel-install"}
    assert next_boot(reserve) == {USUAL}
    assert reserve("--unset")[0] == 0
    assert entry.read_text() == before


@pytest.mark.parametrize("name", ["grub", "grub-mkconfig", "pbl"])
def test_a_comment_behind_a_line_is_no_word(host: Host, reserve: Reserve, name: str) -> None:
    host.make(name)
    path = host.root / "etc/default/grub"
    path.write_text(path.read_text().replace('LINUX=""', f'LINUX=""  # was {BY_HAND}'))
    assert asked(reserve)["by_hand"] == []
    assert reserve("--set", OTHER)[0] == 0
    assert reserve("--unset", "--force")[0] == 0
    assert f"# was {BY_HAND}\n" in path.read_text()


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("grub", "etc/default/grub.d/kdump-initrd.cfg"),
        ("u-boot-menu", "etc/u-boot-menu/conf.d/kdump-initrd.conf"),
    ],
)
def test_a_file_of_an_earlier_version_is_replaced(
    host: Host, reserve: Reserve, name: str, old: str
) -> None:
    host.make(name)
    before = host.files()
    assert reserve("--set", OTHER)[0] == 0
    path = host.root / old
    new = path.with_name(f"zz-{path.name}")
    new.rename(path)
    (host.root / "var/lib/kdump-initrd/crashkernel").unlink()
    found = asked(reserve)
    assert (found["by_hand"], next_boot(reserve)) == ([], {OTHER})
    assert reserve("--set", OTHER)[0] == 0
    assert (path.exists(), new.exists()) == (False, True)
    new.rename(path)
    assert reserve("--unset")[0] == 0
    assert host.files() == before
    put(host.root, old, "X=1\n")
    assert reserve("--set", OTHER)[0] == 0
    assert reserve("--unset")[0] == 0
    assert path.read_text() == "X=1\n"


def test_variables_of_grub_in_an_entry(host: Host, reserve: Reserve) -> None:
    """Fedora 30's entries: what grubenv says counts."""
    host.make("grubby")
    for path in (host.root / "boot/loader/entries").glob("x-*.conf"):
        path.write_text("linux /x\noptions $kernelopts $tuned_params\n")
    (host.root / "boot/grub2").mkdir()
    (host.root / "boot/grub2/grubenv").write_text(f"# GRUB\nkernelopts=root=x {USUAL}\n####")
    assert reserve("--check")[0] == 0


def test_what_is_configured(host: Host, reserve: Reserve) -> None:
    host.make("grub")
    (host.root / "etc/kdump-initrd.toml").write_text('[reserve]\ncrashkernel = "64M 192M,cma"\n')
    words = "crashkernel=64M crashkernel=192M,cma"
    assert reserve()[1].startswith(f"reserve by {words}, as {host.root}/etc/kdump-initrd.toml:2 ")
    assert reserve("--set")[0] == 0
    assert next_boot(reserve) == {words}
    (host.root / "etc/kdump-initrd.toml").write_text('[reserve]\ncrashkernel = "lots"\n')
    status, _, err = reserve()
    assert status == exits.ERROR
    assert "etc/kdump-initrd.toml:2: crashkernel: lots: not a reservation" in err


def test_too_little_is_no(host: Host, reserve: Reserve) -> None:
    host.make("grub")
    LAYOUTS["grub"].by_hand(host.root, "crashkernel=64G-:256M")
    status, out, _ = reserve("--check")
    assert status == exits.NO
    assert "crashkernel=64G-:256M in " in out
    assert "reserves 0 MiB here" in out


def test_what_cannot_be_read_is_not_known(host: Host, reserve: Reserve) -> None:
    host.make("grub")
    menu = host.root / "boot/grub/grub.cfg"
    menu.unlink()
    menu.symlink_to("grub.cfg")
    status, out, _ = reserve("--check")
    assert (status, out) == (exits.ERROR, "cannot tell: no entry of grub was found\n")
    assert reserve("--set")[0] == exits.ERROR


def test_a_place_that_cannot_be_written(host: Host, reserve: Reserve) -> None:
    host.make("grub")
    (host.root / "etc/default/grub.d").write_text("not a folder")
    status, out, err = reserve("--set")
    assert (status, out) == (exits.ERROR, "")
    assert "etc/default/grub.d" in err
    assert host.calls() == []


def test_no_boot_loader(host: Host, reserve: Reserve) -> None:
    host.make("zipl")
    (host.root / "etc/zipl.conf").unlink()
    assert reserve("--check")[0] == exits.ERROR
    status, _, err = reserve("--set")
    assert status == exits.ERROR
    assert f"{USUAL}: put it on the kernel's command line" in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--check --set", "exclude each other"),
        ("--force", "--force: is for"),
        ("--set lots", "not a reservation"),
        ("--set 1M,2M", "not a reservation"),
        ("--set auto", "not a reservation"),
        ("--set 160M 200M", "expected each kind of reservation once"),
        ("--set 160M lots", "lots: not a reservation"),
        ("--table x", "takes options only"),
    ],
)
def test_wrong_usage(host: Host, reserve: Reserve, words: str, why: str) -> None:
    status, out, err = reserve(*words.split())
    assert (status, out) == (exits.USAGE, "")
    assert why in err


@pytest.mark.parametrize("said", [("64M", "192M,cma"), ("64M 192M,cma",)])
def test_several_sizes_with_and_without_quotes(
    host: Host, reserve: Reserve, said: tuple[str, ...]
) -> None:
    host.make("grub")
    assert reserve("--set", *said, "--force")[0] == 0
    assert next_boot(reserve) == {"crashkernel=64M crashkernel=192M,cma"}


def test_an_empty_size_is_not_the_advised_one(host: Host, reserve: Reserve) -> None:
    """It is an unset variable of a script."""
    host.make("grub")
    status, out, err = reserve("--set", "")
    assert (status, out) == (exits.USAGE, "")
    assert "--set: the value is empty" in err
    assert host.calls() == []


def test_only_one_run_at_a_time(host: Host, reserve: Reserve) -> None:
    """What the first one has noted is there when the second one looks."""
    host.make("grub2-mkconfig")
    before = host.files()
    with ThreadPoolExecutor() as pool, record.alone(root=Root(host.root)):
        runs = [pool.submit(set_now, host, size) for size in ("160M", "200M", "1G")]
        assert not any(run.done() for run in runs)
        assert host.files() == before
    assert [run.result() for run in runs] == [0, 0, 0]
    assert reserve("--unset")[0] == 0
    assert host.files() == before


def set_now(host: Host, size: str) -> int:
    return main(["reserve", "--root", str(host.root), "--set", size])


def test_a_root_that_is_not_there_is_not_made(tmp_path: Path, reserve: Reserve) -> None:
    assert main(["reserve", "--set", "--root", str(tmp_path / "none")]) == exits.ERROR
    assert not (tmp_path / "none").exists()


def test_a_table_for_a_fleet(host: Host, reserve: Reserve) -> None:
    host.make("grub")
    assert reserve("--table")[1].startswith("crashkernel=512M-")
    # It is a word that --set takes.
    assert reserve("--set", reserve("--table")[1].strip())[0] == 0


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("grub2-mkconfig", "etc/default/grub"),
        ("kernel-install", "etc/kernel/cmdline"),
        ("zipl", "etc/zipl.conf"),
    ],
)
def test_a_file_keeps_its_bytes_mode_and_owner(
    host: Host, reserve: Reserve, name: str, file: str
) -> None:
    """A comment in Latin-1, and a file that is not root's alone."""
    host.make(name)
    path = host.root / file
    path.write_bytes("# café\n".encode("latin-1") + path.read_bytes())
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1, 2)
    before, status = path.read_bytes(), path.stat()
    assert reserve("--set")[0] == 0
    assert path.read_bytes() != before
    assert reserve("--unset")[0] == 0
    assert path.read_bytes() == before
    now = path.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (status.st_mode, status.st_uid, status.st_gid)


@pytest.mark.parametrize("name", ["kernel-install", "sdbootutil"])
def test_a_command_line_of_blanks_is_none(host: Host, reserve: Reserve, name: str) -> None:
    """Entries without root= do not boot."""
    host.make(name)
    put(host.root, "etc/kernel/cmdline", "\n")
    assert reserve("--set")[0] == 0
    assert (host.root / "etc/kernel/cmdline").read_text() == f"{LINE} {USUAL}\n"


def test_what_cannot_be_set_is_not_noted(host: Host, reserve: Reserve) -> None:
    host.make("grub2-mkconfig")
    put(host.root, "etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=$(cat /x)\n")
    before = host.files()
    status, _, err = reserve("--set")
    assert (status, "is not one text in quotes" in err) == (exits.ERROR, True)
    assert host.files() == before
    assert not (host.root / "var/lib/kdump-initrd").exists()
    assert reserve("--unset")[1] == "nothing is there of kdump-initrd\n"


@every
def test_another_size_is_ours_though_it_was_interrupted(
    host: Host, reserve: Reserve, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed behind the note: the next run finishes its work, and --unset takes out both."""
    host.make(name)
    before = host.files()
    assert reserve("--set", "160M")[0] == 0
    with monkeypatch.context() as patched:
        patched.setattr(WAYS[way_of(name)], "change", killed)
        with pytest.raises(KeyboardInterrupt):
            reserve_now(host, "200M")
    assert reserve("--set", "200M")[0] == 0
    assert next_boot(reserve) == {OTHER}
    assert reserve("--unset")[0] == 0
    assert host.files() == before


def killed(*_: object) -> list[str]:
    raise KeyboardInterrupt


def way_of(name: str) -> str:
    """Return the way of a layout."""
    named = {"grub": "drop-in", "sdbootutil": "kernel-install"}
    named |= {"u-boot-menu": "drop-in", "u-boot-menu-cmdline": "kernel-install"}
    return named.get(name, "variable" if name.endswith("mkconfig") else name)


def reserve_now(host: Host, size: str) -> None:
    """Set a size without what main() makes of an interruption."""
    state = nextboot.look(host.root, None)
    putting.put(state, nextboot.wanted(size), force=False)


@pytest.mark.parametrize("word", ["auto", "16OM"])
def test_a_word_that_is_not_known_is_not_enough(host: Host, reserve: Reserve, word: str) -> None:
    host.make("grub")
    LAYOUTS["grub"].by_hand(host.root, f"crashkernel={word}")
    status, out, _ = reserve("--check")
    assert (status, f"what crashkernel={word} reserves is not known" in out) == (exits.ERROR, True)
    status, _, err = reserve("--set")
    assert (status, "which kdump-initrd has not written" in err) == (exits.ERROR, True)


@pytest.mark.parametrize("size", ["0", "160", "160K", "160,high"])
def test_a_size_without_its_unit_is_wrong_usage(host: Host, reserve: Reserve, size: str) -> None:
    host.make("grub")
    before = host.files()
    status, _, err = reserve("--set", size)
    assert (status, "less than 1 MiB" in err) == (exits.USAGE, True)
    assert host.files() == before
