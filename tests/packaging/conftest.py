# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of packages share: they are built once."""

from __future__ import annotations

import pytest

from .building import FAMILIES, Packages, build, make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the first test of each process wait for the packages, which another one may be making."""
    for item in items:
        if "packaging" in item.path.parts and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The packages of this checkout."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The .rpms of the next release."""
    folder = tmp_path_factory.mktemp("newer")
    again = [
        f"RPM_{family}=--define 'dist .{family}.1' {vendor}"
        for family, vendor in zip(FAMILIES, ("--define 'rhel 10'", "--define 'suse_version 1600'"))
    ]
    make("rpm", f"DIST={folder}", *again)
    return Packages(folder)
