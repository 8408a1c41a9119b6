# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration, hooks and templates that others than root can change are said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdump_initrd.config import effective
from kdump_initrd.core import resources, trust
from kdump_initrd.core.root import Root

from .reading import write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
OTHER = 12345


WHOEVER = "whoever changes it decides what runs as root at a crash (chown root:root, chmod go-w)"
FILES = {
    "etc/kdump-initrd.toml": "[capture]\njobs = 1\n",
    "etc/kdump-initrd.toml.d/50-x.toml": "[capture]\njobs = 2\n",
    "etc/kdump.conf": "path /x\n",
}


def spoil(path: Path, how: str) -> str:
    """Let others change a file; return what is said of it."""
    if how == "owner":
        os.lchown(path, OTHER, OTHER)
        return f"it belongs to user {OTHER}: {WHOEVER}"
    if how == "group":
        os.chown(path, 0, OTHER)
        path.chmod(0o775)
        return f"group {OTHER} can write to it: {WHOEVER}"
    path.chmod(0o777)
    return f"everybody can write to it: {WHOEVER}"


@pytest.mark.parametrize("how", ["owner", "group", "everybody"])
@pytest.mark.parametrize("name", [*FILES, "etc/kdump-initrd.toml.d"])
def test_configuration_that_others_can_change(tmp_path: Path, name: str, how: str) -> None:
    files = {**FILES}
    if name == "etc/kdump.conf":
        del files["etc/kdump-initrd.toml"]
    write(tmp_path, files)
    assert effective.read(Root(tmp_path), peer="kdump-utils").warnings == ()
    said = spoil(tmp_path / name, how)
    found = effective.read(Root(tmp_path), peer="kdump-utils")
    assert found.warnings == (f"{tmp_path / name}: {said}",)
    assert found.errors == ()
    assert found.values["jobs"] == 2


def test_files_that_others_can_only_read(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / "etc/kdump-initrd.toml").chmod(0o644)
    os.chown(tmp_path / "etc/kdump-initrd.toml", 0, OTHER)
    (tmp_path / "etc/kdump-initrd.toml.d/50-x.toml").chmod(0o664)  # the group is root's
    assert effective.read(Root(tmp_path), peer="").warnings == ()


@pytest.mark.parametrize("how", ["owner", "group", "everybody"])
@pytest.mark.parametrize("name", ["hooks", "hooks/save", "hooks/save/60-mine"])
def test_hooks_that_others_can_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, how: str
) -> None:
    """One warning, of the first of them, however often they are looked for."""
    top = tmp_path / "etc/kdump-initrd"
    write(tmp_path, {"etc/kdump-initrd/hooks/save/60-mine": "#!/bin/sh\n"})
    said = spoil(top / name, how)
    resources._mistrust.cache_clear()  # a folder of this name may have been another test's
    for _ in range(2):
        resources.search_path("hooks", root=Root(tmp_path))
    assert [record.getMessage() for record in caplog.records] == [f"{top / name}: {said}"]


def test_a_link_is_its_owner_s(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    top = tmp_path / "etc/kdump-initrd/templates"
    top.mkdir(parents=True)
    (top / "x.j2").symlink_to("y.j2")
    resources.search_path("templates", root=Root(tmp_path))
    assert caplog.records == []
    os.lchown(top / "x.j2", OTHER, OTHER)
    assert trust.warning(top / "x.j2").startswith(f"it belongs to user {OTHER}: ")


def test_who_is_not_root_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, FILES)
    spoil(tmp_path / "etc/kdump-initrd.toml", "everybody")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert effective.read(Root(tmp_path), peer="").warnings == ()
