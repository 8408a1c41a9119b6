# SPDX-License-Identifier: GPL-2.0-or-later
"""Rendering: quoting, missing values, errors with their line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kdump_initrd.errors import KdumpInitrdError
from kdump_initrd.image.render import render

NASTY = ["a b", "$(reboot)", "`id`", "'", '"', "\\", "a\nb", "", "*", "~", "{##", "ü"]


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "ash"]], ids=" ".join)
def test_value_is_one_word_for_every_shell(tmp_path: Path, value: str, shell: list[str]) -> None:
    (tmp_path / "t").write_text("printf '<%s>' {{ value | sh }}\n")
    script = tmp_path / "script"
    script.write_text(render("t", {"value": value}, search_path=[tmp_path]))
    done = subprocess.run([*shell, script], capture_output=True, check=True, timeout=10)
    assert done.stdout.decode() == f"<{value}>"


def test_list_becomes_words(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{{ value | sh }}")
    assert render("t", {"value": ["a b", "c"]}, search_path=[tmp_path]) == "'a b' c"


def test_shell_syntax_passes(tmp_path: Path) -> None:
    text = 'echo "${#v}" "${v##*/}" "${v%%:*}"\n'
    (tmp_path / "t").write_text(text)
    assert render("t", {}, search_path=[tmp_path]) == text


def test_missing_value_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{{ nobody }}")
    with pytest.raises(KdumpInitrdError, match="template t: 'nobody' is undefined"):
        render("t", {}, search_path=[tmp_path])


def test_broken_template_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("\n{% if %}\n")
    with pytest.raises(KdumpInitrdError, match=r"/t:2: "):
        render("t", {}, search_path=[tmp_path])


def test_first_folder_wins(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t").write_text(name)
    assert render("t", {}, search_path=[tmp_path / "b", tmp_path / "a"]) == "b"
