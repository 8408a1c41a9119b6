# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof of a finished capture image: this machine's own, with something taken away."""

from __future__ import annotations

import dataclasses
import io
import logging
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.image.tree import Entry, Kind
from kdump_initrd.probe.python.minimal import PythonRuntime
from kdump_initrd.recipes import proof, trial
from kdump_initrd.recipes.proof import Claims

from .commandline import CAPTURE
from .thiskernel import RELEASE

Image = tuple[tuple[Entry, ...], Claims]
MODULES = f"usr/lib/modules/{RELEASE}/kernel"
LOADER = "ld-linux-x86-64.so.2"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def planned(tmp_path: Path, *options: str) -> Image:
    """Return what is to be proven of an image of this machine."""
    kept: list[Image] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "prove", lambda entries, claims: kept.append((entries, claims)))
        assert main([*CAPTURE, *options, "-o", str(tmp_path / "x.img"), RELEASE]) == 0
    return kept[0]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return planned(tmp_path_factory.mktemp("image"))


def failure(entries: Iterable[Entry], claims: Claims) -> str:
    with pytest.raises(KdumpInitrdError) as caught:
        proof.prove(entries, claims)
    assert "\n" not in caught.value.message
    return caught.value.message


def without(image: Image, name: str) -> tuple[Entry, ...]:
    """Return the entries but for those of that name."""
    kept = tuple(entry for entry in image[0] if entry.dest.name != name)
    assert len(kept) < len(image[0]), name
    return kept


def library_of(image: Image, name: str) -> str:
    """Return the name of the image's library whose name begins so."""
    (found,) = {entry.dest.name for entry in image[0] if entry.dest.name.startswith(f"{name}.so.")}
    return found


def changed(image: Image, name: str, change: Callable[[bytes], bytes]) -> tuple[Entry, ...]:
    """Return the entries with the content of those of that name changed."""
    return tuple(
        dataclasses.replace(entry, content=change(entry.content))
        if entry.dest.name == name and entry.kind is Kind.FILE else entry
        for entry in image[0]
    )  # fmt: skip


@pytest.mark.parametrize("tools", ["busybox", "root"])
def test_this_machines_image(
    tmp_path: Path, tools: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Proven once: what is the same is not tried again."""
    entries, claims = planned(tmp_path, "--tools", tools)
    runs: list[str] = []
    run = trial.run_python

    def counted(entries: tuple[Entry, ...], python: trial.Interpreter) -> None:
        runs.append(python.codec)
        run(entries, python)

    monkeypatch.setattr(trial, "run_python", counted)
    with caplog.at_level(logging.WARNING):
        proof.prove(entries, claims)
        proof.prove(entries, claims)
    assert runs == ["lzo"]
    assert caplog.records == []
    another = changed((entries, claims), "init", lambda data: data + b"\n")
    proof.prove(another, claims)
    assert runs == ["lzo", "lzo"]


def test_module_that_is_missing(image: Image) -> None:
    assert failure(without(image, "jbd2.ko"), image[1]) == (
        f"/{MODULES}/fs/jbd2/jbd2.ko: a kernel module of the image's lists is not in it"
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda data: data[:-1], "cut off in its signature"),
        (lambda data: data[: len(data) // 2], "cut off"),
        (lambda data: b"", "empty"),
        (lambda data: data.replace(f"vermagic={RELEASE}".encode(), b"vermagic=5.0".ljust(23)),
         "is for kernel 5.0"),
    ],
)  # fmt: skip
def test_module_that_is_damaged(image: Image, change: Callable[[bytes], bytes], what: str) -> None:
    assert failure(changed(image, "virtio_blk.ko", change), image[1]) == (
        f"/{MODULES}/drivers/block/virtio_blk.ko: a kernel module of the image: {what}"
    )


def test_file_system_that_no_module_is_for(image: Image) -> None:
    entries = changed(image, "modules", lambda data: data.replace(data.splitlines()[-1], b""))
    assert failure(entries, image[1]) == (
        f"the image cannot mount ext4: it has no module fs-ext4, and kernel {RELEASE} does "
        "not have it built in"
    )


@pytest.mark.parametrize(("name", "needer"), [("jbd2", "ext4"), ("mbcache", "ext4")])
def test_module_that_the_file_system_needs_is_left_out(
    image: Image, name: str, needer: str
) -> None:
    def shorter(data: bytes) -> bytes:
        return b"".join(each for each in data.splitlines(True) if name.encode() not in each)

    entries = changed(image, "modules", shorter)
    assert failure(entries, image[1]) == (
        f"the image cannot mount ext4: it has no module {name}, which {needer} needs"
    )


def test_first_process_that_is_missing(image: Image) -> None:
    assert failure(without(image, "init"), image[1]) == (
        "/init: the image has no such program, which the kernel starts"
    )


@pytest.mark.parametrize("name", ["init", "50-mount"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "does not begin with #! and a program"),
        (b"echo saved\n", "does not begin with #! and a program"),
        (b"#!\n", "does not begin with #! and a program"),
        (b"#!/bin/sh\r\n", "has no '/bin/sh\\r'"),
        (b"#!/opt/none -x\n", "has no '/opt/none'"),
        (b"#!sh\n", "has no 'sh'"),
    ],
)
def test_script_that_nothing_can_start(image: Image, name: str, text: bytes, why: str) -> None:
    entries = changed(image, name, lambda data: text)
    what = failure(entries, image[1])
    assert what.endswith(f"{name}: a script of the image, which {why}: nothing can start it")


def test_program_that_is_missing(image: Image) -> None:
    assert failure(without(image, "mount"), image[1]) == (
        "mount: a script of the image needs it, and the image has no such program"
    )
    entries = changed(image, "busybox", lambda data: data.replace(b"\0mount\0", b"\0mounu\0"))
    assert failure(entries, image[1]) == (
        "mount: a script of the image needs it, and busybox has no such applet"
    )
    assert failure(without(image, "busybox"), image[1]).endswith("the image has no such program")


def test_library_that_is_missing(image: Image) -> None:
    assert failure(without(image, "liblzo2.so.2"), image[1]) == (
        "liblzo2.so.2: the codec of the dump needs it, and the image has no such library"
    )
    libffi = library_of(image, "libffi")
    assert failure(without(image, libffi), image[1]).endswith(
        f"so: needs {libffi}, and the image has none"
    )
    # Before glibc 2.34 libraries say themselves that they need it.
    assert failure(without(image, LOADER), image[1]).endswith(
        (f"the image has no /lib64/{LOADER} to load it", f"needs {LOADER}, and the image has none")
    )


def test_module_of_python_that_is_missing(image: Image) -> None:
    (name,) = [entry.dest.name for entry in image[0] if entry.dest.name.startswith("_ctypes.")]
    assert failure(without(image, name), image[1]) == (
        "the image's Python cannot use ctypes: No module named '_ctypes'"
    )

    def without_struct(data: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
            for info in old.infolist():
                if not info.filename.startswith("struct."):
                    new.writestr(info, old.read(info))
        return buffer.getvalue()

    message = failure(changed(image, "python.zip", without_struct), image[1])
    assert message.startswith("the image's Python cannot use ")
    assert message.endswith("No module named 'struct'")
    assert "the image's Python does not start: " in failure(
        changed(image, "python.zip", lambda data: b""), image[1]
    )


def test_library_of_python_that_does_not_work(image: Image) -> None:
    """Whole by its headers, but not the library that it says it is."""

    def renamed(data: bytes) -> bytes:
        return data.replace(b"\0ffi_call\0", b"\0ffi_calm\0")

    libffi = library_of(image, "libffi")
    message = failure(changed(image, libffi, renamed), image[1])
    assert message.startswith("the image's Python cannot use ctypes: ")
    assert f"{libffi}: undefined symbol: ffi_calm" in message
    message = failure(
        changed(image, "liblzo2.so.2", lambda data: data.replace(b"lzo1x", b"lzo1y")), image[1]
    )
    assert message.startswith("the image's Python cannot use codec lzo: ")


def test_library_that_would_be_the_hosts(image: Image) -> None:
    libffi = library_of(image, "libffi")
    with pytest.raises(KdumpInitrdError) as caught:
        trial.run_python(without(image, libffi), image[1].python)
    message = caught.value.message
    assert message.startswith("the image's Python takes /")
    assert f"/{libffi}" in message
    assert message.endswith(" from this host: the image lacks it")


def test_python_that_does_not_start(image: Image) -> None:
    cut = changed(image, "libc.so.6", lambda data: data[:64] + bytes(len(data) - 64))
    with pytest.raises(KdumpInitrdError, match="the image's Python does not start: "):
        trial.run_python(cut, image[1].python)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [("_folder", lambda: None, "programs cannot run in any folder for temporary files (noexec)"),
     ("_TIMEOUT", 0.001, "not finished after 0.001 s")],
)  # fmt: skip
def test_what_cannot_be_tried_is_a_warning(
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    value: object,
    what: str,
) -> None:
    monkeypatch.setattr(trial, name, value)
    with caplog.at_level(logging.WARNING):
        proof.prove(*image)
    (record,) = caplog.records
    assert record.message.startswith("the image's Python could not be tried: ")
    assert what in record.message


def test_nothing_of_another_root_is_run(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    entries, claims = image

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(trial, "run_python", never)
    elsewhere = dataclasses.replace(claims.runtime.interpreter, root=Root(Path("/srv")))
    runtime = dataclasses.replace(claims.runtime, interpreter=elsewhere)
    proof.prove(entries, dataclasses.replace(claims, runtime=runtime))
    monkeypatch.setattr(PythonRuntime, "runs_here", False)
    proof.prove(entries, claims)
