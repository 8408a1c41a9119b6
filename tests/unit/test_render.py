# SPDX-License-Identifier: GPL-2.0-or-later
"""Rendering: quoting, missing values, errors with their line."""

from __future__ import annotations

import os
import subprocess
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType

import pytest

from kdump_initrd.config.settings import ToolSource
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.image import confinement
from kdump_initrd.image.render import render

NASTY = ["a b", "$(reboot)", "`id`", "'", '"', "\\", "a\nb", "", "*", "~", "{##", "ü"]


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "ash"]], ids=" ".join)
def test_value_is_one_word_for_every_shell(tmp_path: Path, value: str, shell: list[str]) -> None:
    (tmp_path / "t").write_text("printf '<%s>' {{ value | sh }}\n")
    script = tmp_path / "script"
    script.write_text(render("t", {"value": value}, search_path=[tmp_path], root=Root()))
    done = subprocess.run([*shell, script], capture_output=True, check=True, timeout=10)
    assert done.stdout.decode() == f"<{value}>"


def test_list_becomes_words(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{{ value | sh }}")
    assert render("t", {"value": ["a b", "c"]}, search_path=[tmp_path], root=Root()) == "'a b' c"


def test_shell_syntax_passes(tmp_path: Path) -> None:
    text = 'echo "${#v}" "${v##*/}" "${v%%:*}"\n'
    (tmp_path / "t").write_text(text)
    assert render("t", {}, search_path=[tmp_path], root=Root()) == text


def test_missing_value_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{{ nobody }}")
    with pytest.raises(KdumpInitrdError, match="template t: 'nobody' is undefined"):
        render("t", {}, search_path=[tmp_path], root=Root())


def test_broken_template_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("\n{% if %}\n")
    with pytest.raises(KdumpInitrdError, match=r"/t:2: "):
        render("t", {}, search_path=[tmp_path], root=Root())


def test_first_folder_wins(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t").write_text(name)
    assert render("t", {}, search_path=[tmp_path / "b", tmp_path / "a"], root=Root()) == "b"


LIVE = [Path("/"), ToolSource.AUTO, MappingProxyType({}), OrderedDict(), {1: 2}, print, b"x"]


@pytest.mark.parametrize(
    "value", [*LIVE, *([each] for each in LIVE), *({"x": each} for each in LIVE)]
)
def test_objects_are_refused(tmp_path: Path, value: object) -> None:
    (tmp_path / "t").write_text("")
    with pytest.raises(TypeError, match=r"t: value.*: (a .* is not a plain value|1 is not a name)"):
        render("t", {"value": value}, search_path=[tmp_path], root=Root())


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return another's folder, and this program's own behind it."""
    # What counts is the processor's time: a busy machine gives it late.
    monkeypatch.setattr(confinement, "_PATIENCE", 120.0)
    for name in ("theirs", "own"):
        (tmp_path / name).mkdir()
    return [tmp_path / "theirs", tmp_path / "own"]


def theirs(text: str, folders: list[Path]) -> str:
    (folders[0] / "t").write_text(f"one\n{text}\n")
    with pytest.raises(KdumpInitrdError) as caught:
        render("t", {"value": "x"}, search_path=folders, root=Root())
    assert "\n" not in caught.value.message
    return caught.value.message.replace(f"{folders[0]}/", "")


LOOP = "{% for i in range(99999) %}"
WRONG = {
    "{{ 1 / 0 }}": "division by zero",
    f"{LOOP}{LOOP}{{% endfor %}}{{% endfor %}}": "takes longer than 3 s",
    "{{ 'a' * 10**10 }}": "the result of * is too large",
    "{{ 10 ** (10 ** 8) }}": "the result of ** is too large",
    "{{ '%1000000000d' % 1 }}": "takes more memory than 256 MB",
    "{{ 'a' | center(10**10) }}": "takes more memory than 256 MB",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}":
        "calls itself endlessly, or is nested too deeply",
    "{% include 't' %}": "calls itself endlessly, or is nested too deeply",
    "{% include 'none' %}": "none: no such template",
    "{% include '../own/t' %}": "../own/t: not a name below templates/",
    "{% import '/etc/passwd' as t %}{{ t }}": "/etc/passwd: not a name below templates/",
    "{{ value.__class__ }}": "access to attribute '__class__' of 'str' object is unsafe.",
    "{{ nobody }}": "'nobody' is undefined",
    "{{ range(10**9) }}":
        "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_anothers_template_is_an_error_in_one_line(folders: list[Path], text: str) -> None:
    assert theirs(text, folders) == f"template t: {WRONG[text]}, in t:2"


def test_text_without_end_is_an_error(folders: list[Path]) -> None:
    text = f"{LOOP}{LOOP}{'a' * 100}{{% endfor %}}{{% endfor %}}"
    assert theirs(text, folders).startswith("template t: takes more memory than 256 MB, in t")
    (folders[0] / "t").write_text(LOOP + "a" * 999 + "{% endfor %}")
    with pytest.raises(KdumpInitrdError, match="template t: makes a text larger than 8 MB"):
        render("t", {}, search_path=folders, root=Root())


def test_own_template_that_includes_anothers_has_limits(folders: list[Path]) -> None:
    (folders[1] / "t").write_text("{% include 'part' %}")
    (folders[1] / "part").write_text("own")
    assert render("t", {}, search_path=folders, root=Root()) == "own"
    (folders[0] / "part").write_text("{{ 'a' | center(10**10) }}")
    with pytest.raises(
        KdumpInitrdError, match=r"takes more memory than 256 MB, in .*theirs/part:1"
    ):
        render("t", {}, search_path=folders, root=Root())


def test_anothers_text_comes_whole(folders: list[Path]) -> None:
    (folders[0] / "t").write_text("{{ previous }}{{ words | sh }}\n")
    values = {"previous": "ü\udcff", "words": ("a b", "c")}
    found = render("t", values, search_path=folders, root=Root())
    assert found == "ü\udcff'a b' c\n"


def test_what_anothers_template_asks_for_is_remembered(folders: list[Path]) -> None:
    (folders[0] / "t").write_text("{% include 'part' %}")
    (folders[1] / "part").write_text("own")
    root = Root()
    render("t", {}, search_path=folders, root=root)
    paths = (folders[0] / "t", folders[0] / "part", folders[1] / "part")
    assert root.asked.looked == set(map(str, paths))


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/secret")])
def test_what_is_no_file_in_the_root(tmp_path: Path, folders: list[Path], make: object) -> None:
    (tmp_path / "secret").write_text("the host's")
    assert callable(make)
    make(folders[0] / "t")
    (folders[1] / "t").write_text("own")
    try:
        found = render("t", {}, search_path=folders, root=Root(folders[0]))
    except KdumpInitrdError as error:
        assert error.message in (
            f"{folders[0]}/t: is not a regular file",
            f"{folders[0]}/t: Is a directory",
        )
    else:
        assert found == "own"


def test_links_lead_where_the_roots_do(folders: list[Path]) -> None:
    (folders[0] / "t").symlink_to("/other/t")
    (folders[0] / "other").mkdir()
    (folders[0] / "other/t").write_text("the root's")
    assert render("t", {}, search_path=folders, root=Root(folders[0])) == "the root's"


def test_no_text(folders: list[Path]) -> None:
    (folders[0] / "t").write_bytes(b"one\n\xff")
    with pytest.raises(KdumpInitrdError, match="theirs/t:2: not UTF-8"):
        render("t", {}, search_path=folders, root=Root())
