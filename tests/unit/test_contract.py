# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract is said once: the shell's variables and the image's paths come from one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.config.settings import CAPTURE, FIELDS, CaptureSettings
from kdump_initrd.recipes.parts import contract
from kdump_initrd.saver import imagepaths
from kdump_initrd.saver.params import Params

from ..grammar.optionwords import WORDS
from .captureimage import build, unpack

REPO = Path(__file__).parents[2]
#: What runs in images; the hooks of packages run on the host.
IN_IMAGES = [
    path
    for folder in ("hooks", "templates")
    for path in sorted((REPO / folder).rglob("*"))
    if path.is_file() and "hooks/host/" not in str(path)
]
PATHS = {name: value for name, value in vars(imagepaths).items() if name.isupper()}
#: The kernel starts it, without variables.
WITHOUT_VARIABLES = REPO / "hooks/modprobe"


@pytest.mark.parametrize("path", IN_IMAGES, ids=lambda path: str(path.relative_to(REPO)))
def test_no_script_names_the_image_s_own_folders(path: Path) -> None:
    own = [PATHS[name] for name in ("LIB", "ETC", "MOUNT", "PAYLOAD", "PARAMS", "PYTHON_ZIP")]
    found = re.findall(r"(?:^|[^\w/.$}])((?:/[\w.-]+)+)", path.read_text(), re.MULTILINE)
    named = [each for each in found if each.startswith(tuple(own))]
    wanted = {PATHS["ON_DEMAND"], PATHS["LIB"]}
    assert set(named) == (wanted if path == WITHOUT_VARIABLES else set())


def at(record: Mapping[str, Any], field: str) -> object:
    """Return a field of a record by its dotted name."""
    first, last = field.split(".")
    return record["targets"][0][last] if first == "target" else record[first][last]


def test_settings_have_their_defaults_from_the_record() -> None:
    settings, record = CaptureSettings(), Params().plain()
    for name, field in FIELDS.items():
        assert getattr(settings, name) == at(record, field), name
    assert settings.setup_timeout == at(record, "target.deadline")


def test_saver_and_shell_are_told_what_was_said(tmp_path: Path) -> None:
    flags = {row.name: row.flags[-1] for row in CAPTURE}
    words = [word for name in FIELDS for word in (flags[name], WORDS[name][0])]
    tree = unpack(build(tmp_path / "x.img", *words), tmp_path / "tree")
    params = Params.from_json((tree / PATHS["PARAMS"][1:]).read_text())
    for name, field in FIELDS.items():
        assert at(params.plain(), field) == WORDS[name][1], name
    (variables,) = contract.target_variables(params)
    wanted = {**contract.variables(params), **variables}
    said = re.findall(r"^export (KDUMP_\w+)='?(.*?)'?$", (tree / "init").read_text(), re.MULTILINE)
    assert dict(said) == wanted
    assert (wanted["KDUMP_KEEP_FREE"], wanted["KDUMP_STALL_TIMEOUT"]) == ("10", "9")
    assert wanted["KDUMP_FINAL_ACTION"] == "halt"


def test_hooks_use_no_other_variables() -> None:
    """But those that the guard sets, and what a hook says itself."""
    known = {*contract.variables(Params()), *contract.target_variables(Params())[0]}
    known |= {"KDUMP_REASON", "KDUMP_LOST", "KDUMP_STARTED", "KDUMP_SHELL", "KDUMP_HOOKS"}
    known |= {"KDUMP_ATTEMPTS", "KDUMP_NEXT", "KDUMP_SAVED"}  # with several targets
    for path in IN_IMAGES:
        assert set(re.findall(r"KDUMP_[A-Z_]+", path.read_text())) - {"KDUMP_"} <= known, path
