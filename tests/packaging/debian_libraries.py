# SPDX-License-Identifier: GPL-2.0-or-later
"""A plugin for pytest: the run counts only with the libraries that Debian 12 and the .deb have.

pytest -p tests.packaging.debian_libraries
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

#: Module and project → the version of Debian 12.
WANTED = {
    ("libarchive", "libarchive-c"): "2.9",
    ("elftools", "pyelftools"): "0.29",
    ("jinja2", "Jinja2"): "3.1.2",
}
_HOME = Path("/usr/lib/python3/dist-packages")


def found() -> Mapping[str, str]:
    """Return the versions by project; raises pytest.UsageError for one that is not Debian's."""
    versions = {}
    for (module, project), wanted in WANTED.items():
        spec = importlib.util.find_spec(module)
        origin = Path(spec.origin or "") if spec else Path()
        if not origin.is_relative_to(_HOME) or version(project) != wanted:
            raise pytest.UsageError(f"{project}: expected Debian's {wanted}, not {origin}")
        versions[project] = wanted
    return versions


def pytest_configure() -> None:
    """Refuse to run with other libraries."""
    found()


def pytest_report_header() -> str:
    """Name them."""
    return f"Debian's own: {', '.join(f'{name} {text}' for name, text in found().items())}"
