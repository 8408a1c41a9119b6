# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``make install`` puts somewhere works from there, and ``make uninstall`` takes it away."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.run import run

from .building import REPO, make

PROGRAMS = {
    "sbin/mkinitrd-kdump": "kdump-initrd ",
    "sbin/kdump-initrd": "kdump-initrd ",
    "bin/vmcore-save": "vmcore-save ",
}


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A folder that it was installed in, with the configuration beside it."""
    make("install", f"PREFIX={tmp_path / 'usr'}", f"SYSCONFDIR={tmp_path / 'etc'}", "FAMILY=debian")
    return tmp_path / "usr"


def call(program: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run an installed command where an attacker has put modules of the same names."""
    for name in ("kdump_initrd.py", "argparse.py", "jinja2.py"):
        (cwd / name).write_text("raise SystemExit('taken from the wrong place')\n")
    env = {**os.environ, "PYTHONPATH": str(cwd)}
    return subprocess.run(
        [program, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_commands_start_from_there_only(prefix: Path, tmp_path: Path) -> None:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    for name, said in PROGRAMS.items():
        done = call(prefix / name, "--version", cwd=cwd)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(said)


def test_the_data_is_found_and_nothing_is_left_behind(prefix: Path, tmp_path: Path) -> None:
    # By Debian's own Python and libraries, as in the .deb.
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    before = sorted(prefix.rglob("*"))
    done = call(prefix / "sbin/mkinitrd-kdump", "--show-distro", "fedora", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Fedora" in done.stdout
    assert sorted(prefix.rglob("*")) == before


def test_everything_is_below_the_prefix(tmp_path: Path) -> None:
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/x", "SYSCONFDIR=/opt/y", "FAMILY=redhat")
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    elsewhere = {str(path) for path in files if path.parts[:2] not in (("opt", "x"), ("opt", "y"))}
    assert not elsewhere
    assert (tmp_path / "opt/y/kernel/install.d/95-kdump-initrd.install").exists()


@pytest.mark.parametrize(
    ("prefix", "unit"),
    [("/usr", "/usr/lib"), ("/usr/local", "/usr/local/lib"), ("/opt/x", "/etc")],
)
@pytest.mark.parametrize("family", ["arch", "debian", "redhat", "suse"])
def test_who_calls_it_finds_it(tmp_path: Path, family: str, prefix: str, unit: str) -> None:
    make("install", f"DESTDIR={tmp_path}", f"PREFIX={prefix}", f"FAMILY={family}", "SHTAB=")
    called = "mkinitrd-kdump" if prefix != "/opt/x" else f"{prefix}/sbin/mkinitrd-kdump"
    service = tmp_path / f"{unit[1:]}/systemd/system/kdump-initrd-refresh.service"
    assert f"\nExecStart={called} --refresh\n" in service.read_text()
    names = ("kernels-changed", "kdump-initrd", "zz-kdump-initrd", "95-kdump-initrd.install")
    found = (path for path in tmp_path.rglob("*") if path.name in names and path.is_file())
    hooks = [path for path in found if path.read_bytes().startswith(b"#!/bin/sh")]
    assert hooks
    for path in hooks:
        text = path.read_text()
        assert f"\ncommand -v {called} >" in text, path
        assert f"\nif ! {called} " in text, path
    if family == "arch":
        (hook,) = tmp_path.rglob("95-kdump-initrd.hook")
        (start,) = [line for line in hook.read_text().splitlines() if line.startswith("Exec")]
        program = start.partition(" = ")[2]
        assert os.access(f"{tmp_path}{program}", os.X_OK)


def test_uninstall_takes_it_away_and_nothing_else(prefix: Path, tmp_path: Path) -> None:
    foreign = prefix / "bin/other"
    foreign.write_text("")
    make(
        "uninstall", f"PREFIX={prefix}", f"SYSCONFDIR={tmp_path / 'etc'}", "FAMILY=debian"
    )  # fmt: skip
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [foreign]
    assert not (prefix / "lib/kdump-initrd").exists()


def test_without_completions_no_library_is_needed(tmp_path: Path) -> None:
    make("install", f"DESTDIR={tmp_path}", "SHTAB=")
    assert (tmp_path / "usr/local/sbin/mkinitrd-kdump").exists()
    assert not (tmp_path / "usr/local/share/bash-completion").exists()


def test_an_unknown_family_is_refused(tmp_path: Path) -> None:
    words = ["install", f"DESTDIR={tmp_path}", "FAMILY=debain"]
    done = run(["make", "-C", REPO, *words], timeout=60, check=False)
    assert done.status == 2
    assert "FAMILY=debain: expected one of arch debian redhat suse" in done.stderr
    assert not any(tmp_path.iterdir())
