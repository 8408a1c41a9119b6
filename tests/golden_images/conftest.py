# SPDX-License-Identifier: GPL-2.0-or-later
"""The roots and their images, built once for all tests of the folder; golden texts; the shells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from . import images as making
from .fakemachine import SHELLS, write_shell
from .golden import TOP, Golden
from .images import Image
from .systems import SYSTEMS

GOLDEN = pytest.StashKey[Golden]()


@pytest.fixture(scope="session")
def golden(pytestconfig: pytest.Config) -> Iterator[Golden]:
    """The golden texts; with --update-golden they are written in the end."""
    found = Golden(TOP, update=pytestconfig.getoption("--update-golden"))
    pytestconfig.stash[GOLDEN] = found
    yield found
    if found.update:
        found.write()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what --update-golden has changed."""
    golden = terminalreporter.config.stash.get(GOLDEN, None)
    if golden and golden.update:
        terminalreporter.section("golden texts")
        for line in golden.report or ["none has changed"]:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Image]:
    """Every image by its name, "profile/kind"."""
    top = tmp_path_factory.mktemp("systems")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(top / "cache"))
        plans = [making.build(system, top / system.profile) for system in SYSTEMS]
    return {image.name: image for plan in plans for image in plan}


@pytest.fixture(scope="session")
def shells(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Each shell with what it needs, in a folder of its own."""
    top = tmp_path_factory.mktemp("shells")
    return {name: write_shell(top / name, name) for name in SHELLS}
