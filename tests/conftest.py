# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tests share: the option for golden texts, signals as in a terminal, temporary files."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

#: A busy machine lets an example take any time, and each writes the files that it reads.
settings.register_profile(
    "busy",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one way to refresh golden texts."""
    parser.addoption("--update-golden", action="store_true", help="write the golden texts anew")


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C: who is started in the background by a script ignores it, as do its children."""
    if config.getoption("--update-golden") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--update-golden writes in one process: leave -n out")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let machines begin, so that none is left for the end: two at a time, where there are two.

    With --dist worksteal each process is given as many tests as the others, in this order.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    machines = [item for item in items if item.get_closest_marker("qemu")]
    others = [item for item in items if not item.get_closest_marker("qemu")]
    split = len(items) // processes - len(machines[::2])
    if processes > 1 and split >= 0:
        items[:] = machines[::2] + others[:split] + machines[1::2] + others[split:]
    else:
        items[:] = machines + others


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let caplog hear what is logged, whatever a command has set up before."""
    monkeypatch.setattr(logging.getLogger("kdump-initrd"), "propagate", True)


@pytest.fixture(scope="session", autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder for temporary files of this process and its children, in pytest's own.

    What one that is killed leaves there goes with that.
    """
    _remove_killed(tmp_path_factory.getbasetemp())
    folder = tmp_path_factory.mktemp("temporary", numbered=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


def _remove_killed(base: Path) -> None:
    # pytest keeps the folders of a run that was killed for three days; its lock has the process.
    runs = [parent for parent in base.parents if parent.name.startswith("pytest-of-")]
    for lock in (lock for top in runs for lock in top.glob("pytest-*/.lock")):
        try:
            os.kill(int(lock.read_text()), 0)
        except ProcessLookupError:
            shutil.rmtree(lock.parent, ignore_errors=True)
        except (OSError, ValueError):
            pass


@pytest.fixture(autouse=True)
def nothing_is_left(temporary: Path) -> Iterator[None]:
    """No test leaves a temporary file, and no program that it kills."""
    yield
    left = sorted(temporary.iterdir())
    for path in left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    assert not left, f"left behind: {[path.name for path in left]}"
