# SPDX-License-Identifier: GPL-2.0-or-later
"""The linters, as tests: a missing one is a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kdump_initrd.core.run import find

REPO = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(
    str(path.relative_to(REPO))
    for folder in ("hooks", "tests/vm/guest")
    for path in (REPO / folder).rglob("*")
    if path.is_file() and path.suffix not in (".service", ".hook", ".rules")
)  # fmt: skip
#: What an installed copy needs at the top, and what may stand beside it.
TOP_LEVEL = {
    "pyproject.toml", "kdump_initrd", "templates", "hooks", "distros", "tests", "README.md",
    "LICENSE", "Makefile", "docs", ".ci", ".gitignore",
}  # fmt: skip


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files that git knows or would take, whoever owns the checkout."""
    argv = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others"]
    done = subprocess.run(
        [*argv, "--exclude-standard"], cwd=REPO, capture_output=True, text=True, check=True
    )
    return [name for name in done.stdout.splitlines() if (REPO / name).exists()]


def check(*argv: str) -> None:
    """Run a linter in the checkout and show what it says."""
    assert find(argv[0]), f"{argv[0]}: not installed (make setup installs it)"
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(argv[:3])}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff() -> None:
    check(sys.executable, "-m", "ruff", "check")


def test_ruff_format() -> None:
    check(sys.executable, "-m", "ruff", "format", "--check")


@pytest.mark.timeout(240)
def test_mypy() -> None:
    check(sys.executable, "-m", "mypy")


def test_shellcheck() -> None:
    assert SCRIPTS
    check("shellcheck", "--shell=sh", "--external-sources", "--source-path=.", *SCRIPTS)


def test_man_page_has_no_warnings() -> None:
    pages = [str(path) for path in (REPO / "docs/man").glob("*.[0-9]")]
    assert pages
    for page in pages:
        done = subprocess.run(
            ["man", "--warnings", "--local-file", page],
            env={"MANWIDTH": "80", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "PAGER": "cat"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert "NAME" in done.stdout


def test_top_level_is_the_layout(tracked: list[str]) -> None:
    assert {name.split("/")[0] for name in tracked} <= TOP_LEVEL


def test_every_source_names_its_licence(tracked: list[str]) -> None:
    for name in tracked:
        path = REPO / name
        if path.suffix in (".py", ".sh", ".j2") or path.parent.parent.name == "hooks":
            assert "SPDX-License-Identifier: GPL-2.0-or-later" in path.read_text()[:200], name
