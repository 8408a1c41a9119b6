# SPDX-License-Identifier: GPL-2.0-or-later
"""However it was installed, it finds its templates, hooks and profiles."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unit.commandline import CAPTURE
from tests.unit.thiskernel import RELEASE

REPO = Path(__file__).resolve().parents[2]
DATA = ("templates", "hooks", "distros")


def run(*argv: str | Path, cwd: Path, path: Path | None = None) -> str:
    """Run a program with a clean PYTHONPATH and return its stdout."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
    run(*pip, "-w", folder, REPO, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


def dry_run(*command: str | Path, cwd: Path, path: Path | None = None) -> None:
    """Plan an image: that needs all three data folders."""
    out = run(*command, *CAPTURE, "--dry-run", RELEASE, cwd=cwd, path=path)
    assert "usr/lib/kdump-initrd/hooks/save/10-saver" in out
    assert "init  # the first process" in out


def test_wheel_holds_every_data_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            info.filename: info.external_attr >> 16
            for info in archive.infolist()
            if "/_data/" in info.filename
        }
    here = {
        f"kdump_initrd/_data/{path.relative_to(REPO).as_posix()}": path.stat().st_mode & 0o111
        for name in DATA
        for path in (REPO / name).rglob("*")
        if path.is_file() and "packaging" not in path.relative_to(REPO).parts
    }
    assert set(packed) == set(here)
    for name, executable in here.items():
        assert bool(packed[name] & 0o111) == bool(executable), name


def test_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel,
        cwd=tmp_path)  # fmt: skip
    where = run(sys.executable, "-c", "import kdump_initrd; print(kdump_initrd.__file__)",
                cwd=tmp_path, path=site)  # fmt: skip
    assert where.startswith(str(site))
    dry_run(sys.executable, "-m", "kdump_initrd", cwd=tmp_path, path=site)
    assert (site / "share/man/man8/vmcore-save.8").exists()
    said = run(
        sys.executable, "-m", "kdump_initrd.commands.vmcoresave", "--help", cwd=tmp_path, path=site
    )
    assert "--dump-level N" in said


def test_editable_install_has_the_commands(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    dry_run(programs / "mkinitrd-kdump", cwd=tmp_path)
    assert run(programs / "vmcore-save", "--version", cwd=tmp_path).startswith("vmcore-save (")


def test_bare_checkout_works(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("kdump_initrd", *DATA):
        (copy / name).symlink_to(REPO / name)
    dry_run(sys.executable, "-m", "kdump_initrd", cwd=copy)
