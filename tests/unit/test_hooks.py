# SPDX-License-Identifier: GPL-2.0-or-later
"""Discovering hooks and reading their headers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image import hooks


def write_hook(folder: Path, name: str, text: str = "#!/bin/sh\n", mode: int = 0o755) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_order_is_by_stage_then_name(tmp_path: Path) -> None:
    for name in ("final/90-x", "save/50-b", "save/10-a", "pre-mount/99-z", "unknown/1-x"):
        write_hook(tmp_path, name)
    found = [hook.path for hook in hooks.discover([tmp_path], root=Root())]
    assert found == ["pre-mount/99-z", "save/10-a", "save/50-b", "final/90-x"]


def test_first_folder_wins(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_hook(tmp_path / name, "save/10-x")
    (found,) = hooks.discover([tmp_path / "b", tmp_path / "a"], root=Root())
    assert found.source == tmp_path / "b/save/10-x"


def test_header(tmp_path: Path) -> None:
    text = "#!/bin/sh\n# needs: a b\n# applets: c\n# timeout: 7\n\n# needs: not-any-more\n"
    needs = hooks.read_needs(text, tmp_path)
    assert (needs.commands, needs.applets, needs.timeout) == (("a", "b"), ("c",), 7)


@pytest.mark.parametrize("word", ["soon", "²", "-1", "9" * 5000])
def test_wrong_timeout_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(KdumpInitrdError, match=f"timeout: expected whole seconds, not '{word}'"):
        hooks.read_needs(f"# timeout: {word}\n", tmp_path)


def test_hook_that_cannot_run_is_refused(tmp_path: Path) -> None:
    write_hook(tmp_path, "save/10-x", mode=0o644)
    with pytest.raises(KdumpInitrdError, match="10-x: not executable"):
        hooks.discover([tmp_path], root=Root())


def test_shipped_stages() -> None:
    found = hooks.discover(search_path("hooks", root=Root(Path("/nonexistent"))), root=Root())
    assert {hook.stage for hook in found} >= {"pre-mount", "mount", "save", "umount", "final"}
    assert found[-1].path == "final/90-final-action"


def test_backups_are_no_hooks_and_programs_are(tmp_path: Path) -> None:
    for name in ("save/10-x~", "save/10-x.bak", "save/.10-x.swp"):
        write_hook(tmp_path, name)
    path = tmp_path / "save/20-program"
    path.write_bytes(b"\x7fELF\xff\xfe")
    path.chmod(0o755)
    (found,) = hooks.discover([tmp_path], root=Root())
    assert (found.path, found.timeout) == ("save/20-program", 60)


def test_links_of_a_root_end_in_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_hook(root, "srv/real")
    write_hook(tmp_path, "srv/host", mode=0o644)
    for name, target in (("save/10-x", "/srv/real"), ("save/20-x", f"{tmp_path}/srv/host")):
        (root / "hooks" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "hooks" / name).symlink_to(target)
    with pytest.raises(KdumpInitrdError) as caught:
        hooks.discover([root / "hooks"], root=Root(root))
    # Not the host's, which is not executable.
    assert caught.value.message == f"{root}{tmp_path}/srv/host: No such file or directory"
    (root / "hooks/save/20-x").unlink()
    (found,) = hooks.discover([root / "hooks"], root=Root(root))
    assert (found.path, found.source) == ("save/10-x", root / "srv/real")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "save").mkdir()
    os.mkfifo(tmp_path / "save/10-x")
    with pytest.raises(KdumpInitrdError, match="save/10-x: is not a regular file"):
        hooks.discover([tmp_path], root=Root())
