# SPDX-License-Identifier: GPL-2.0-or-later
"""Ctrl-C and its like at any moment: true words, a status, and nothing of ours that stays."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kdump_initrd.core import publish
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.publish import new_file

REPO = Path(__file__).parents[2]
#: What waits for a signal, for five minutes at most. A signal that comes between the interpreter's
#: last look and the system call is heard only when that ends: so each sleep is short.
WAIT = "for _ in range(3000): time.sleep(0.1)"
#: A command whose work is a program of the test's: it stops at a line, and goes on when killed.
COMMAND = """
import sys, time
from pathlib import Path
from kdump_initrd.commands import start; from kdump_initrd.commands import verbs
from kdump_initrd.core.publish import new_file; from kdump_initrd.core.publish import remove
def work(requests):
    {work}
    print("there", flush=True)
    {wait}
    return 0
import kdump_initrd.commands.mkinitrd
kdump_initrd.commands.mkinitrd.verbs.perform = work
sys.exit(start.mkinitrd())
"""
WRITING = "new = new_file(Path(sys.argv[-1]) / 'image', force=True); new.__enter__()"
WRITTEN = "with new_file(Path(sys.argv[-1]) / 'image', force=True): pass"


def begin(
    work: str, folder: Path, *, ignored: signal.Signals | None = None
) -> subprocess.Popen[str]:
    """Start the command and wait until its work is done that far."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if ignored:
            signal.signal(ignored, signal.SIG_IGN)

    program = COMMAND.format(work=work, wait=WAIT)
    child = subprocess.Popen(
        [sys.executable, "-c", program, "--list", str(folder)], cwd=REPO, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=prepare,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "there\n"
    return child


def hidden(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - hidden ones, too


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("work", "said", "left"),
    [
        (WRITING, "nothing was written", ["old"]),
        (WRITTEN, "written by then: {}/image written", ["image", "old"]),
        ("remove(Path(sys.argv[-1]) / 'old')", "written by then: {}/old removed", []),
    ],
    ids=["writing", "written", "removed"],
)
def test_each_signal(
    tmp_path: Path, number: signal.Signals, work: str, said: str, left: list[str]
) -> None:
    (tmp_path / "old").touch()
    child = begin(work, tmp_path)
    child.send_signal(number)
    _, stderr = child.communicate(timeout=200)
    assert stderr == f"kdump-initrd: error: interrupted: {said.format(tmp_path)}\n"
    assert child.returncode == 128 + number
    assert hidden(tmp_path) == left


def test_what_was_ignored_stays_so(tmp_path: Path) -> None:
    child = begin(WRITING, tmp_path, ignored=signal.SIGHUP)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert child.poll() is None
    child.terminate()
    child.communicate(timeout=200)
    assert child.returncode == 143


@pytest.mark.parametrize("program", ["mkinitrd", "admin", "vmcore"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_modules_are_imported(tmp_path: Path, program: str, number: signal.Signals) -> None:
    """An import may also make something else of an exception."""
    slow = tmp_path / "argparse.py"
    slow.write_text(
        "import time\nprint('there', flush=True)\n"
        f"try:\n    {WAIT}\nexcept BaseException:\n    raise ImportError('no') from None\n"
    )
    code = f"import sys; from kdump_initrd.commands.start import {program}; sys.exit({program}())"
    child = subprocess.Popen(
        [sys.executable, "-c", code, "--help"], text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{REPO}"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "there\n"
    child.send_signal(number)
    _, stderr = child.communicate(timeout=200)
    name = {"vmcore": "vmcore-save"}.get(program, "kdump-initrd")
    assert stderr == f"{name}: error: interrupted: nothing was written\n"
    assert child.returncode == 128 + number


def test_what_a_killed_one_left_goes_and_what_is_written_now_stays(tmp_path: Path) -> None:
    killed, running = begin(WRITING, tmp_path), begin(WRITING, tmp_path)
    foreign = [tmp_path / ".kdump-initrd-x.new.keep", tmp_path / ".initrd.img.new-abcdefgh"]
    for path in foreign:
        path.touch()
    link = tmp_path / ".kdump-initrd-link.new"
    link.symlink_to(foreign[0])
    assert len(hidden(tmp_path)) == 5
    killed.kill()
    killed.communicate()
    with new_file(tmp_path / "image", force=False) as new:
        assert len(hidden(tmp_path)) == 5
        assert new.path.exists()
    assert len(hidden(tmp_path)) == 5  # the running one's, the image, three of others
    running.terminate()
    running.communicate()
    assert hidden(tmp_path) == sorted(["image", link.name, *(path.name for path in foreign)])


def test_one_that_sweeps_is_quicker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the creation of a file and its lock."""
    real, once = fcntl.flock, iter([True])

    def flock(descriptor: int, how: int) -> None:
        if next(once, False):
            publish.sweep(tmp_path)
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with new_file(tmp_path / "image", force=False) as new:
        os.write(new.descriptor, b"mine")
    assert (tmp_path / "image").read_bytes() == b"mine"
    assert hidden(tmp_path) == ["image"]


def test_a_name_of_any_length(tmp_path: Path) -> None:
    out = tmp_path / ("n" * 255)
    with new_file(out, force=False):
        pass
    assert out.exists()
    with pytest.raises(KdumpInitrdError) as caught, new_file(tmp_path / ("n" * 256), force=False):
        pass
    assert "File name too long" in caught.value.message


DROPPED = f"""
import ctypes, signal, sys, time
from kdump_initrd.commands.interrupts import Interrupts

class Held:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

def wait():
    {WAIT}

def text():
    exec("import signal; signal.raise_signal(signal.SIGTERM)")

def destructor():
    held = Held()
    del held
    wait()

def callback():
    ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGTERM))()
    wait()

with Interrupts() as interrupts:
    try:
        globals()[sys.argv[1]]()
    except KeyboardInterrupt:
        print("heard")
sys.exit(interrupts.status)
"""


@pytest.mark.parametrize("where", ["text", "destructor", "callback"])
def test_where_exceptions_are_dropped(where: str) -> None:
    """What a signal raises there is raised again, and nothing is printed of it."""
    command = [sys.executable, "-c", DROPPED, where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "heard\n", "")
