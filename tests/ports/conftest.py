# SPDX-License-Identifier: GPL-2.0-or-later
"""The fixtures of the machine tests, for those of the ports."""

from __future__ import annotations

from tests.vm.conftest import crash_copy as crash_copy
from tests.vm.conftest import folder as folder
from tests.vm.conftest import name as name
from tests.vm.conftest import pytest_runtest_makereport as pytest_runtest_makereport
