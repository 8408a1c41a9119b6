# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the image's shell and tools come from."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro.profilekeys import Tools
from kdump_initrd.probe.programs import applets, tools

LAYOUT = Tools(
    busybox=("usr/bin/busybox",),
    shell=("bin/dash", "bin/sh"),
    path=("usr/sbin", "usr/bin"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("usr/bin", "usr/sbin", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("usr/bin/mount", "usr/sbin/findfs", "usr/sbin/reboot", "bin/dash"):
        (tmp_path / name).touch()
    (tmp_path / "usr/bin/busybox").write_bytes(b"\0cat\0findfs\0mount\0reboot\0")
    return tmp_path


def pick(root: Path, *needs: str, busybox: bool, **more: tuple[str, ...]) -> tools.Toolbox:
    box = tools.find_busybox(Root(root), LAYOUT) if busybox else None
    return tools.pick(needs, root=Root(root), tools=LAYOUT, busybox=box, **more)


def test_busybox_comes_first(root: Path) -> None:
    found = pick(root, "cat", "mount", busybox=True)
    assert (found.applets, found.programs, found.missing) == (("cat", "mount"), (), ())
    assert found.shell == root / "usr/bin/busybox"


def test_own_program_beats_the_applet(root: Path) -> None:
    found = pick(root, "findfs", busybox=True, own=("findfs",))
    assert found.programs == (("findfs", root / "usr/sbin/findfs"),)


def test_without_busybox_all_is_the_roots(root: Path) -> None:
    found = pick(root, "mount", "cat", busybox=False, applets=("reboot",))
    assert found.programs == (("mount", root / "usr/bin/mount"),)
    assert found.missing == ("cat",)
    assert found.applets == (), "the root's reboot may be systemctl"
    assert found.shell == root / "bin/dash"


def test_applets_are_busyboxs(root: Path) -> None:
    found = pick(root, busybox=True, applets=("reboot", "insmod"))
    assert (found.applets, found.missing) == (("reboot",), ())


def test_part_of_a_name_is_no_applet(root: Path) -> None:
    assert pick(root, "find", busybox=True).missing == ("find",)


def test_same_as_busybox_says() -> None:
    busybox = Path("/usr/bin/busybox")
    done = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    listed = done.stdout.split()
    data = busybox.read_bytes()
    strings = {word.decode() for word in re.findall(rb"\0([a-z]{3,12})(?=\0)", data)}
    assert len(strings - set(listed)) > 50, "names that mean something else"
    assert applets.offered(data, [*listed, *sorted(strings)]) == set(listed)
    for each in sorted(strings - set(listed)):
        assert applets.offered(data, [each]) == set(), each


def test_string_in_busybox_is_no_applet(root: Path) -> None:
    """An option of an applet, beside the table."""
    data = b"\0kill-after\0timeout\0signal\0\0cat\0dd\0findfs\0mount\0reboot\0"
    (root / "usr/bin/busybox").write_bytes(data)
    found = pick(root, "timeout", "cat", busybox=True)
    assert (found.applets, found.missing) == (("cat",), ("timeout",))


def test_absolute_links_stay_in_the_root(root: Path) -> None:
    (root / "usr/bin/cat").symlink_to("/usr/sbin/findfs")
    found = pick(root, "cat", busybox=False)
    assert found.programs == (("cat", root / "usr/sbin/findfs"),)


def test_loop_of_links_is_nothing(root: Path) -> None:
    (root / "usr/bin/cat").symlink_to("cat")
    assert pick(root, "cat", busybox=False).missing == ("cat",)


def test_no_shell_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KdumpInitrdError, match="no shell for the image") as caught:
        tools.pick((), root=Root(tmp_path), tools=LAYOUT, busybox=None)
    assert caught.value.hint == "looked for bin/dash, bin/sh"
