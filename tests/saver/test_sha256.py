# SPDX-License-Identifier: GPL-2.0-or-later
"""SHA-256 of files, by each implementation."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

from kdump_initrd.saver.dump import sha256
from kdump_initrd.saver.dump.sha256 import file_sha256
from kdump_initrd.saver.low.failure import SaverError

from .running import ROOT
from .vmcore import noise

PIECE = 131072


def _leave(implementation: str, monkeypatch: pytest.MonkeyPatch, program: str = "") -> None:
    if implementation != "libcrypto":
        monkeypatch.setattr(sha256, "_LIBRARIES", ())
    if implementation != "built-in":
        monkeypatch.setattr(sha256, "SHA256", ())
    monkeypatch.setattr(sha256, "_PROGRAM", program)


@pytest.fixture(params=["libcrypto", "built-in", "program"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Leave one implementation only."""
    program = which("sha256sum") or "" if request.param == "program" else ""
    _leave(request.param, monkeypatch, program)
    return str(request.param)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    "size",
    [
        *(0, 1, 31, 32, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 4095, 4096, 4097),
        *(PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 17),
    ],
)
def test_is_that_of_other_people(implementation: str, file: int, size: int, tmp_path: Path) -> None:
    data = noise(size // 4096 + 1)[:size]
    os.write(file, data)
    os.lseek(file, 5, os.SEEK_SET)
    pieces: list[int] = []
    found = file_sha256(file, pieces.append)
    assert found == hashlib.sha256(data).hexdigest()
    program = subprocess.run(
        ["sha256sum", tmp_path / "file"], capture_output=True, text=True, check=True, timeout=20
    )
    assert program.stdout.split()[0] == found
    assert sum(pieces) == size
    if implementation != "program":
        assert pieces == [PIECE] * (size // PIECE) + [size % PIECE] * (size % PIECE > 0)
    assert os.lseek(file, 0, os.SEEK_CUR) == 5


def test_short_reads(implementation: str, file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = noise(40)
    os.write(file, data)
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: preadv(fd, [views[0][:1234]], at))
    assert file_sha256(file, lambda count: None) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("implementation", ["libcrypto", "built-in"], indirect=True)
def test_a_file_that_cannot_be_read(implementation: str, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            file_sha256(fd, lambda count: None)
    finally:
        os.close(fd)


def test_libcrypto_comes_first(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sha256, "_built_in", None)
    assert file_sha256(file, lambda count: None) == hashlib.sha256().hexdigest()


def test_a_library_of_that_name_without_sha256(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sha256, "_LIBRARIES", ("libcrypto.so.99", "libc.so.6"))
    assert file_sha256(file, lambda count: None) == hashlib.sha256().hexdigest()


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "echo; exit 0",
        "echo sha256sum: read error",
        "head -c 100000 >/dev/null; sha256sum; exit 1",
        "kill -9 $$",
    ],
)
def test_a_program_that_fails_is_done_without(
    file: int, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(40)
    os.write(file, data)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    _leave("built-in", monkeypatch, str(program))
    pieces: list[int] = []
    assert file_sha256(file, pieces.append) == hashlib.sha256(data).hexdigest()
    assert sum(pieces) >= len(data)


def test_a_program_that_cannot_be_run(
    file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF")
    _leave("built-in", monkeypatch, str(tmp_path / "program"))
    assert file_sha256(file, lambda count: None) == hashlib.sha256().hexdigest()


def test_a_program_ends_when_its_watcher_fails(
    file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.write(file, noise(40))
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nhead -c 1000 >/dev/null\nexec sleep 100\n")
    program.chmod(0o755)
    _leave("program", monkeypatch, str(program))

    def fail(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file_sha256(file, fail)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_neither(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sha256, "_LIBRARIES", ())
    monkeypatch.setattr(sha256, "_PROGRAM", "")
    monkeypatch.setattr(sha256, "SHA256", ("_no_such_module",))
    with pytest.raises(SaverError) as caught:
        file_sha256(file, lambda count: None)
    assert str(caught.value) == (
        "SHA-256: there is no libcrypto, and this Python was built without it"
    )


def test_a_program_that_fails_in_the_middle_counts_nothing(
    tmp_path: Path, file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "sha256sum"
    program.write_text("#!/bin/sh\ndd bs=4096 count=2 of=/dev/null\nsleep 0.1\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sha256, "_LIBRARIES", ())
    monkeypatch.setattr(sha256, "_PROGRAM", str(program))
    os.write(file, bytes(20000))
    told: list[int] = []
    assert file_sha256(file, told.append) == hashlib.sha256(bytes(20000)).hexdigest()
    assert sum(told) == 20000 and -8192 in told


@pytest.mark.parametrize("libraries", [sha256._LIBRARIES, ()])
def test_memory_and_modules(tmp_path: Path, libraries: tuple[str, ...]) -> None:
    """A large file takes no more memory than a piece, and hashlib stays away."""
    with (tmp_path / "large").open("wb") as large:
        large.truncate(64 << 20)
    code = f"""
import os, sys
from kdump_initrd.saver.dump import sha256
from kdump_initrd.saver.low.progress import anonymous_kib
sha256._LIBRARIES = {libraries!r}
fd = os.open(sys.argv[1], os.O_RDONLY)
before = anonymous_kib()
print(sha256.file_sha256(fd, lambda count: None), anonymous_kib() - before, *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-B", "-c", code, tmp_path / "large"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    found, grown, *modules = done.stdout.split()
    assert found == hashlib.sha256(bytes(64 << 20)).hexdigest()
    assert int(grown) < 1024
    assert not {"hashlib", "_hashlib"} & set(modules)
