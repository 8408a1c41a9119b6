# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the machine tests: the kernel under test, and a folder a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .kernels import Kernel, announced
from .scenario import folder_of


@pytest.fixture(scope="session")
def kernel() -> Kernel:
    """The kernel to crash; a host without one fails the test."""
    return announced()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for the run, from the test's."""
    return re.sub(r"[^\w.-]+", "_", str(request.node.name)).strip("_")


@pytest.fixture
def folder(name: str) -> Path:
    """The run's folder, where its console log stays."""
    return folder_of(name)
