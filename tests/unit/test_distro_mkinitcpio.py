# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook in initrds of mkinitcpio, which Debian does not have: their content is its sources'."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from .firstimages import Parts, make_parts, ours, unpack
from .initrdwriter import Item, file, newc, write_base
from .mkinitcpioinitrds import BUSYBOX, CONFIG, SYSTEMD
from .shells import SHELLS

#: What /init does before it loads a module (mkinitcpio's init, init_functions), in a folder.
INIT = """\
set -- a b
. ./config
for hook in $EARLYHOOKS; do
	[ -x "hooks/$hook" ] || continue
	unset -f run_earlyhook
	. "hooks/$hook"
	run_earlyhook
done
echo "$MODULES, $HOOKS, $#"
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(tmp_path_factory.mktemp("parts"))


def extended(parts: Parts, top: Path, items: tuple[Item, ...]) -> tuple[Path, Path]:
    """Append our segment to a base of these; return what is added, and the whole tree."""
    base = write_base(top / "initramfs-linux.img", items)
    image = parts.make(top / "out.img", "--distro", "arch", base=base)
    archive = ours(image, base)
    added = unpack(archive, top / "added")
    return added, unpack(archive, unpack(newc(items), top / "tree"))


def run(tree: Path, shell: list[str], arm: str | None) -> tuple[int, str]:
    """Run the hooks as /init does, with another hook of ours."""
    hook, there = tree / "hooks/kdump-initrd", tree / "arm"
    if arm:
        there.write_text(arm)
    text, count = re.subn(
        r"-e /kdump-initrd/arm \]; then\n\t\t\S.* /kdump-initrd/arm ",
        f"-e {there} ]; then\n\t\t/bin/sh {there} ",
        hook.read_text(),
    )
    assert count == 1
    hook.write_text(text)
    (tree / "driver").write_text(INIT)
    done = subprocess.run([*shell, "driver"], cwd=tree, input="not for it", capture_output=True,
                          text=True, timeout=30, check=False)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_busybox_kind_gets_an_early_hook(parts: Parts, tmp_path: Path) -> None:
    added, tree = extended(parts, tmp_path, BUSYBOX)
    files = {str(path.relative_to(added)) for path in added.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("kdump-initrd/")} == {
        "config", "hooks/kdump-initrd"
    }  # fmt: skip
    assert (tree / "config").read_bytes().startswith(CONFIG)
    assert (tree / "config").stat().st_mode & 0o777 == 0o644
    assert (tree / "hooks/kdump-initrd").stat().st_mode & 0o777 == 0o755
    text = (tree / "hooks/kdump-initrd").read_text()
    assert "/kdump-initrd/arm </dev/null || :" in text


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("arm", "said"),
    [(None, ""), ("echo ours; exit 3\n", "ours\n"), ("cat; echo read\n", "read\n"),
     ("unset EARLYHOOKS HOOKS; set -e; false\n", "")],
)  # fmt: skip
def test_the_early_hook_is_first_and_harmless(
    parts: Parts, tmp_path: Path, shell: list[str], arm: str | None, said: str
) -> None:
    _, tree = extended(parts, tmp_path, BUSYBOX)
    assert run(tree, shell, arm) == (0, f"{said}udev\next4, udev resume, 2\n")


@pytest.mark.parametrize("config", [b"", b'EARLYHOOKS=""', b"EARLYHOOKS=''\n# no end of line"])
def test_a_config_of_any_shape(parts: Parts, tmp_path: Path, config: bytes) -> None:
    items = tuple(file("config", config) if i.path == "config" else i for i in BUSYBOX)
    _, tree = extended(parts, tmp_path, items)
    status, printed = run(tree, ["busybox", "ash"], "echo ours\n")
    assert (status, printed.splitlines()[0]) == (0, "ours")


def test_scripts_pass_shellcheck(parts: Parts, tmp_path: Path) -> None:
    _, tree = extended(parts, tmp_path, BUSYBOX)
    for name in ("hooks/kdump-initrd", "config"):
        done = subprocess.run(
            ["shellcheck", "--shell=sh", "--exclude=SC2034", tree / name],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, ""), name


def test_the_systemd_kind_gets_a_unit(parts: Parts, tmp_path: Path) -> None:
    """It is told before the other, though all of that one's marks are there."""
    added, tree = extended(parts, tmp_path, SYSTEMD)
    units = "usr/lib/systemd/system"
    files = {str(path.relative_to(added)) for path in added.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("kdump-initrd/")} == {
        f"{units}/kdump-initrd.service", f"{units}/sysinit.target.d/kdump-initrd.conf"
    }  # fmt: skip
    assert (tree / "config").read_bytes() == b'HOOKS=""\n'
    # systemd warns of units that could be run.
    for name in files:
        if name.startswith(units):
            assert (tree / name).stat().st_mode & 0o777 == 0o644
    wants = (tree / units / "sysinit.target.d/kdump-initrd.conf").read_text()
    assert wants.splitlines()[1:] == ["[Unit]", "Wants=kdump-initrd.service"]
    unit = (tree / units / "kdump-initrd.service").read_text()
    assert "ConditionPathExists=/kdump-initrd/arm\n" in unit
    assert "DefaultDependencies=no\n" in unit
    start = unit.split("ExecStart=-")[1].splitlines()[0].split()
    assert start[-1] == "/kdump-initrd/arm"
    assert all((tree / word[1:]).exists() for word in start if word.startswith("/"))


def test_systemd_takes_the_unit(parts: Parts, tmp_path: Path) -> None:
    """By its own checker, which looks for the program, too."""
    _, tree = extended(parts, tmp_path, SYSTEMD)
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={tree}", "kdump-initrd.service"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ours_ = [line for line in done.stderr.splitlines() if "kdump-initrd" in line]
    assert (done.returncode, ours_) == (0, [])
