# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tests share: the option for golden texts, and signals as in a terminal."""

from __future__ import annotations

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one way to refresh golden texts."""
    parser.addoption("--update-golden", action="store_true", help="write the golden texts anew")


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C: who is started in the background by a script ignores it, as do its children."""
    if config.getoption("--update-golden") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--update-golden writes in one process: leave -n out")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
