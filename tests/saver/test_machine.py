# SPDX-License-Identifier: GPL-2.0-or-later
"""What Python does in an image without busybox. Nothing here may end this machine's life."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from kdump_initrd.saver import machine
from kdump_initrd.saver.arch import Architecture


class Kernel:
    """Stands where libc is: answers finit_module and klogctl, and can do nothing else."""

    def __init__(self, *, error: int = 0, log: bytes = b"") -> None:
        self.error = error
        self.log = log
        self.loaded: list[bytes] = []

    def syscall(self, number: ctypes.c_long, fd: int, parameters: bytes, flags: int) -> int:
        assert number.value > 0 and fd >= 0 and flags == 0
        self.loaded.append(parameters)
        ctypes.set_errno(self.error)
        return -1 if self.error else 0

    def klogctl(self, action: int, buffer: ctypes.Array[ctypes.c_char] | None, size: int) -> int:
        if action == 10:
            return len(self.log)
        assert action == 3 and buffer is not None and size >= len(self.log)
        ctypes.memmove(buffer, self.log, len(self.log))
        return len(self.log)


@pytest.fixture(autouse=True)
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have ended the machine; for every test."""
    asked: list[str] = []
    monkeypatch.setattr(machine, "end", asked.append)
    return asked


def pretend(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> Kernel:
    monkeypatch.setattr(os, "uname", lambda: type("", (), {"machine": "x86_64"}))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: kernel)
    return kernel


def modules(folder: Path, *lines: str) -> str:
    """Write a list of modules, and a file for each; return the list's path."""
    for line in lines:
        (folder / line.split()[0]).write_bytes(b"this is not a module")
    (folder / "list").write_text("".join(f"{folder}/{line}\n" for line in lines))
    return str(folder / "list")


@pytest.mark.parametrize(
    "words",
    [[], ["load"], ["load", "a", "b"], ["log", "a"], ["reboot", "now"], ["restart"], ["--help"]],
)
def test_wrong_usage(words: list[str], ends: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.main(words) == 2
    said = capsys.readouterr()
    assert said.err == "usage: machine load LIST | log | reboot | poweroff | halt\n"
    assert (said.out, ends) == ("", [])


@pytest.mark.parametrize("action", ["reboot", "poweroff", "halt"])
def test_the_end_is_asked_for_by_name(
    action: str,
    ends: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert machine.main([action]) == 0
    assert ends == [action]

    def refuse(_: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(machine, "end", refuse)
    assert machine.main([action]) == 1
    assert capsys.readouterr().err == "Operation not permitted\n"


def test_a_list_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.main(["load", str(tmp_path / "list")]) == 1
    assert capsys.readouterr().err == "No such file or directory\n"


def test_modules_are_loaded_with_their_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = pretend(monkeypatch, Kernel())
    assert machine.main(["load", modules(tmp_path, "a.ko", "b.ko x=1 y=2")]) == 0
    assert capsys.readouterr().out == "2 kernel modules loaded\n"
    assert kernel.loaded == [b"", b"x=1 y=2"]
    assert [path.name for path in tmp_path.iterdir()] == ["list"]


def test_the_kernel_s_line_comes_behind_a_module_s_own_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = pretend(monkeypatch, Kernel())
    line = tmp_path / "cmdline"
    line.write_bytes(b'my-disk.x=2 my_disk.y="a  b" ether.z=\xff other.x=1 -- my_disk.n=1\n')
    listing = modules(tmp_path, "my-disk.ko x=1", "ether.ko", "b.ko")
    assert machine.load_modules(listing, str(line)) == 3
    assert kernel.loaded == [b'x=1 x=2 y="a  b"', b"z=\xff", b""]
    assert capsys.readouterr().out == ""


def test_what_a_module_refuses_does_not_cost_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Strict(Kernel):
        def syscall(self, number: ctypes.c_long, fd: int, parameters: bytes, flags: int) -> int:
            self.error = errno.EINVAL if b"bad" in parameters else 0
            return super().syscall(number, fd, parameters, flags)

    kernel = pretend(monkeypatch, Strict())
    (tmp_path / "cmdline").write_text("a.x=bad\n")
    assert machine.load_modules(modules(tmp_path, "a.ko x=1"), str(tmp_path / "cmdline")) == 1
    assert kernel.loaded == [b"x=1 x=bad", b"x=1"]
    assert capsys.readouterr().out == "a.ko: refused these parameters of the command line: x=bad\n"
    assert not (tmp_path / "a.ko").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errno.ENOEXEC, "a.ko: Exec format error\n0 kernel modules loaded\n"),
        (errno.EEXIST, "1 kernel modules loaded\n"),
    ],
)
def test_a_module_that_the_kernel_refuses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pretend(monkeypatch, Kernel(error=error))
    assert machine.main(["load", modules(tmp_path, "a.ko")]) == 0
    assert capsys.readouterr().out == said
    assert not (tmp_path / "a.ko").exists()


def test_a_file_that_is_no_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real kernel: it refuses, whether or not this process may load modules."""
    assert machine.main(["load", modules(tmp_path, "a.ko")]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("a.ko: ") and len(first) > len("a.ko: ")
    assert last == "0 kernel modules loaded"
    assert not (tmp_path / "a.ko").exists()


def test_a_module_that_is_missing_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = pretend(monkeypatch, Kernel())
    listing = modules(tmp_path, "a.ko", "b.ko b")
    (tmp_path / "a.ko").unlink()
    assert machine.main(["load", listing]) == 0
    wanted = "a.ko: No such file or directory\n1 kernel modules loaded\n"
    assert capsys.readouterr().out == wanted
    assert kernel.loaded == [b"b"]


def test_a_machine_whose_system_calls_are_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, Kernel())
    monkeypatch.setattr(machine, "of_uname", lambda _: Architecture())
    assert machine.main(["load", modules(tmp_path, "a.ko")]) == 0
    assert capsys.readouterr().out.startswith("a.ko: finit_module is not known on x86_64\n")


@pytest.mark.parametrize("length", [1, 100, 1 << 18])
def test_the_kernel_s_own_log(
    length: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = (b"<6>[    0.000000] Linux version \xff\n" * length)[: length * 8]
    pretend(monkeypatch, Kernel(log=log))
    assert machine.main(["log"]) == 0
    assert capsys.readouterr().out == log.decode("utf-8", "replace")
