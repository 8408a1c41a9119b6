# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the machine tests: the kernel under test, and a folder a run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .kernels import Kernel, newest
from .scenario import Scenario, folder_of

_FAILED = pytest.StashKey[bool]()
#: What stays of a run that passed; all else is large.
_KEPT = ("console.log", "console.old", "command", "qemu.stderr")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the fixtures whether the test failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """The kernel to crash, named on the terminal; a host without one fails the test."""
    found = newest()
    writer = request.config.get_terminal_writer()
    writer.line(f"\nkernel under test: {found.release} ({found.image})")
    return found


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for the run, from the test's."""
    return re.sub(r"[^\w.-]+", "_", str(request.node.name)).strip("_")


@pytest.fixture
def folder(name: str, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The run's folder; disks and dumps stay in it only if the test fails."""
    folder = folder_of(name)
    shutil.rmtree(folder / "crash", ignore_errors=True)
    yield folder
    if not request.node.stash.get(_FAILED, True):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in _KEPT:
                path.unlink()


@pytest.fixture
def crash_copy(folder: Path) -> Path:
    """Where a test copies the crash's folder to."""
    copy = folder / "crash"
    copy.mkdir()
    return copy


@pytest.fixture
def scenario(name: str, kernel: Kernel, folder: Path) -> Scenario:
    """A crash whose image and disks the test fills in."""
    return Scenario(name, kernel, folder / "capture.img", "")
