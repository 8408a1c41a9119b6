# SPDX-License-Identifier: GPL-2.0-or-later
"""lintian and rpmlint: no complaint but those that are named with a reason, and no reason idle."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from kdump_initrd.core.run import run

from .building import FAMILIES, REPO, Packages

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RPMLINT = REPO / "distros/redhat/packaging/rpmlint.toml"
SPEC = REPO / "distros/redhat/packaging/kdump-initrd.spec"
SCRIPTS = sorted((REPO / "distros/debian/packaging").glob("*.p*"))


def lint_rpms(packages: Packages, config: Path) -> str:
    """Run rpmlint on the packages and the spec; return its lines."""
    rpmlint = [sys.executable, "-c", "from rpmlint.cli import lint; lint()"]
    files = [*map(packages.rpm, FAMILIES), SPEC]
    return run([*rpmlint, "-c", config, *files], timeout=60, check=False).stdout.decode()


@pytest.mark.timeout(120)
def test_lintian_is_silent(packages: Packages, tmp_path: Path) -> None:
    # With -I it also names an override that overrides nothing.
    words = ["-EI", "--pedantic", "--tag-display-limit", "0"]
    # It leaves files there.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    argv: list[str | Path] = ["lintian", *words, packages.deb]
    done = run(argv, timeout=120, check=False, environment=environment)
    assert (done.status, done.stdout.decode()) == (0, "")


def test_rpmlint_has_no_complaint(packages: Packages) -> None:
    said = lint_rpms(packages, RPMLINT)
    assert "2 packages and 1 specfiles checked; 0 errors, 0 warnings" in said, said


def test_every_exception_of_rpmlint_is_needed(packages: Packages, tmp_path: Path) -> None:
    text = RPMLINT.read_text()
    bare = tmp_path / "bare.toml"
    bare.write_text(text.partition("Filters")[0])
    said = lint_rpms(packages, bare)
    for pattern in tomllib.loads(text)["Filters"]:
        assert re.search(pattern, said), f"{pattern}: nothing to except"


def test_maintainer_scripts_pass_shellcheck() -> None:
    assert len(SCRIPTS) == 3
    ours = Path(__file__).parent / "enter-overlay"
    done = run(["shellcheck", "--shell=sh", *SCRIPTS, ours], timeout=60, check=False)
    assert done.stdout.decode() == ""


@pytest.mark.parametrize("family", FAMILIES)
def test_scriptlets_pass_shellcheck(packages: Packages, family: str, tmp_path: Path) -> None:
    names = ("POSTIN", "PREUN", "POSTUN", "POSTTRANS")
    scripts = []
    for name in names:
        text = run(["rpm", "-qp", "--qf", f"%{{{name}}}", packages.rpm(family)], timeout=30).stdout
        assert b"kdump-initrd" in text or name == "POSTUN"
        scripts.append(tmp_path / name)
        scripts[-1].write_bytes(text)
    # The operand of a test is a number that rpm gives.
    done = run(["shellcheck", "--shell=sh", "--exclude=SC2086", *scripts], timeout=60, check=False)
    assert done.stdout.decode() == ""
