# SPDX-License-Identifier: GPL-2.0-or-later
"""The image's Python: found in a root, its zip run by real interpreters."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.python import minimal
from kdump_initrd.probe.python.bytecode import compiled
from kdump_initrd.probe.python.imports import imports_of
from kdump_initrd.probe.python.interpreter import find_interpreter
from kdump_initrd.probe.python.minimal import PythonRuntime, find_python
from kdump_initrd.probe.python.zipped import stdlib_zip
from kdump_initrd.saver.low.stdlib import SHA256

from .elfwriter import AARCH64, write_elf
from .inittabwriter import write_python
from .pythons import interpreters, write_stdlib

ROOT = Path("/")
HERE = sys.version_info[:2]
CHECKOUT = Path(__file__).resolve().parents[2]
#: What must not come along: each is megabytes, or drags such a library in.
HEAVY = ("libcrypto", "libssl", "libbz2", "liblzma", "libsqlite", "libreadline")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/kdump-initrd"


def make_root(top: Path, *, minor: int = HERE[1], without: tuple[str, ...] = ()) -> Path:
    """Make a root whose Python is a table of built-in modules, its modules empty files.

    As in every Python since 3.10, all names of the standard library stand in it as strings.
    """
    write_stdlib(top / f"usr/lib/python3.{minor}", without=without)
    names = ("_abc", *(name for name in ("_ctypes",) if name not in without))
    python = write_python(
        top / f"usr/bin/python3.{minor}", names, moves="rela",
        strings=tuple(sorted(getattr(sys, "stdlib_module_names", names))),
    )  # fmt: skip
    (top / "usr/bin/python3").symlink_to(python.name)
    return top


def failure(root: Path, python: Path | None = None) -> KdumpInitrdError:
    with pytest.raises(KdumpInitrdError) as caught:
        find_python(Root(root), python=python)
    return caught.value


def run(runtime: PythonRuntime, archive: Path, code: str) -> str:
    """Run code as the image does, but where no other standard library can be found."""
    python = runtime.interpreter
    flags = ["-S", "-s", "-B", *(["-P"] if python.version >= (3, 11) else [])]
    environment = {
        "PYTHONHOME": "/nonexistent",
        "PYTHONPATH": f"{archive}:{runtime.extension_dir}",
        "PYTHONHASHSEED": "0",
    }
    done = subprocess.run(
        [python.source, *flags, "-c", code], env=environment, cwd="/", timeout=30,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: str(path).replace("/", "_"))
def test_zip_is_all_that_a_real_interpreter_needs(python: Path, tmp_path: Path) -> None:
    runtime = find_python(Root(ROOT), python=python)
    archive = tmp_path / "python.zip"
    archive.write_bytes(stdlib_zip(runtime))
    names = [module.name for module in runtime.modules if not module.name.endswith("__main__")]
    code = (
        "import sys, ctypes, time\n"
        f"for name in {names!r}: __import__(name)\n"
        "assert ctypes.CDLL(None).getpid() > 0\n"
        "type('S', (ctypes.Structure,), {'_fields_': [('x', ctypes.c_int)]})\n"
        "assert b'\\xe9'.decode('latin-1').encode('utf-8') == b'\\xc3\\xa9'\n"
        "time.strftime('%Y', time.gmtime(0))\n"
        "for module in list(sys.modules.values()):\n"
        "    spec = getattr(module, '__spec__', None)\n"
        "    print(getattr(spec, 'origin', None) or 'none')\n"
    )
    origins = set(run(runtime, archive, code).splitlines())
    folder = str(runtime.extension_dir)
    strange = {
        origin for origin in origins - {"none", "built-in", "frozen"}
        if not origin.startswith((f"{archive}/", f"{folder}/"))
    }  # fmt: skip
    assert strange == set()
    assert not [
        library.dest for library in runtime.libraries.libraries
        if library.dest.name.startswith(HEAVY)
    ]  # fmt: skip


def test_zip_is_stored_and_compiled_here() -> None:
    runtime = find_python(Root(ROOT), python=Path(sys.executable).resolve())
    assert runtime.compiler == runtime.interpreter.source
    with zipfile.ZipFile(io.BytesIO(stdlib_zip(runtime))) as archive:
        infos = archive.infolist()
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    names = [info.filename for info in infos]
    assert names == sorted(names) or names[0].startswith("__future__")
    assert {"kdump_initrd/__init__.pyc", "kdump_initrd/saver/params.pyc", "ctypes/__init__.pyc",
            "encodings/utf_8.pyc"} <= set(names)  # fmt: skip
    assert not [name for name in names if name.startswith(("site.", "json", "typing", "re."))]


def test_zip_is_the_same_in_another_process(tmp_path: Path) -> None:
    code = (
        "import hashlib, sys; from pathlib import Path\n"
        "from kdump_initrd.core.root import Root\n"
        "from kdump_initrd.probe.python.minimal import find_python\n"
        "from kdump_initrd.probe.python.zipped import stdlib_zip\n"
        "runtime = find_python(Root(), python=Path(sys.executable).resolve())\n"
        "print(hashlib.sha256(stdlib_zip(runtime)).hexdigest())\n"
    )
    digests = set()
    for seed, folder in (("1", "a"), ("2", "b"), ("3", "a")):
        path = os.pathsep.join((str(CHECKOUT), *sys.path))
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        environment["XDG_CACHE_HOME"] = str(tmp_path / folder)
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True,
            timeout=60, check=True,
        )  # fmt: skip
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("there", "compiles", "why"),
    [(None, False, f"this host has no python3.{HERE[1] + 1}, the image's: the saver is not comp"),
     ("/bin/false", False, "/bin/false does not compile it: the saver is not compiled in advance"),
     ("/bin/echo", False, "/bin/echo does not compile it: the saver is not compiled in advance"),
     (sys.executable, True, "")],
)  # fmt: skip
def test_another_version_of_another_root(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    there: str | None,
    compiles: bool,
    why: str,
) -> None:
    """Compiled by a Python of that name where this host has one; nothing of the root is run."""
    runtime = find_python(Root(make_root(tmp_path, minor=HERE[1] + 1)))
    monkeypatch.setattr(minimal, "find", {runtime.interpreter.command: there}.__getitem__)
    with caplog.at_level(logging.WARNING):
        body = stdlib_zip(runtime)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert f"kdump_initrd/saver/params.py{'c' * compiles}" in archive.namelist()
    assert why in caplog.text
    assert ("10 s on an emulated one" in caplog.text) is not compiles


def test_interpreter_of_a_root(tmp_path: Path) -> None:
    found = find_python(Root(make_root(tmp_path))).interpreter
    assert found.source == tmp_path / f"usr/bin/python3.{HERE[1]}"
    assert str(found.dest) == f"usr/bin/python3.{HERE[1]}"
    assert found.version == HERE
    assert found.stdlib == tmp_path / f"usr/lib/python3.{HERE[1]}"


def test_extension_modules_keep_their_place(tmp_path: Path) -> None:
    root = make_root(tmp_path, without=("_ctypes",))
    folder = root / f"usr/lib/python3.{HERE[1]}/lib-dynload"
    tag = f"cpython-3{HERE[1]}-x86_64-linux-gnu"
    write_elf(folder / f"_ctypes.{tag}.so", ("libffi.so.8",))
    write_elf(root / "usr/lib/libffi.so.8")
    runtime = find_python(Root(root))
    assert [each.dest.name for each in runtime.extensions] == [f"_ctypes.{tag}.so"]
    assert runtime.extensions[0].why == "Python module _ctypes, for ctypes"
    assert str(runtime.extension_dir) == f"/usr/lib/python3.{HERE[1]}/lib-dynload"
    assert [str(each.dest) for each in runtime.libraries.libraries] == ["usr/lib/libffi.so.8"]


@pytest.mark.parametrize("name", SHA256)
def test_sha256_comes_along_where_it_is_a_file(tmp_path: Path, name: str) -> None:
    root = make_root(tmp_path)
    folder = root / f"usr/lib/python3.{HERE[1]}/lib-dynload"
    assert find_python(Root(root)).extensions == (), "a Python built without it"
    write_elf(folder / f"{name}.cpython-3{HERE[1]}-x86_64-linux-gnu.so")
    (found,) = find_python(Root(root)).extensions
    assert found.why == f"Python module {name}, for the saver"


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: str(path).replace("/", "_"))
def test_sha256_in_the_image(python: Path, tmp_path: Path) -> None:
    runtime = find_python(Root(ROOT), python=python)
    archive = tmp_path / "python.zip"
    archive.write_bytes(stdlib_zip(runtime))
    text = tmp_path / "text"
    text.write_bytes(b"abc")
    code = (
        "import os, sys\n"
        "from kdump_initrd.saver.dump import sha256\n"
        "sha256._LIBRARIES = ()\n"
        "def feed(count): pass\n"
        f"print(sha256.file_sha256(os.open({str(text)!r}, os.O_RDONLY), feed))\n"
    )
    assert run(runtime, archive, code).strip() == hashlib.sha256(b"abc").hexdigest()


def test_no_python(tmp_path: Path) -> None:
    error = failure(tmp_path)
    assert error.message == f"{tmp_path}/usr/bin/python3: no Python in the root"
    assert error.hint == "install python3 there, or name an interpreter with --python"


def test_old_python(tmp_path: Path) -> None:
    error = failure(make_root(tmp_path, minor=8))
    assert error.message == f"{tmp_path}/usr/bin/python3.8: Python 3.8 is too old"
    assert error.hint is not None and "3.9 or newer" in error.hint


def test_newer_python_beside_an_old_default(tmp_path: Path) -> None:
    root = make_root(tmp_path, minor=HERE[1])
    (root / "usr/bin/python3").unlink()
    make_root(root, minor=6)
    assert find_interpreter(Root(root)).version == HERE


def test_extension_of_another_architecture_is_none(tmp_path: Path) -> None:
    """Two packages of one root may share the folder."""
    root = make_root(tmp_path, without=("_ctypes",))
    folder = root / f"usr/lib/python3.{HERE[1]}/lib-dynload"
    tag = f"_ctypes.cpython-3{HERE[1]}"
    write_elf(folder / f"{tag}-aarch64-linux-gnu.so", machine=AARCH64)
    assert "Python without the module ctypes, needed by ctypes" in failure(root).message
    write_elf(folder / f"{tag}-x86_64-linux-gnu.so")
    (found,) = find_python(Root(root)).extensions
    assert found.dest.name == f"{tag}-x86_64-linux-gnu.so"


def test_extension_that_is_damaged(tmp_path: Path) -> None:
    root = make_root(tmp_path, without=("_ctypes",))
    path = root / f"usr/lib/python3.{HERE[1]}/lib-dynload/_ctypes.cpython-3{HERE[1]}-x.so"
    path.parent.mkdir()
    path.touch()
    error = failure(root)
    assert (error.message, error.hint) == (f"{path}: empty", "install its package again")


def test_module_without_its_file(tmp_path: Path) -> None:
    """On this host's own Python, whose names of modules are all strings in it."""
    interpreter = find_interpreter(Root(ROOT), python=Path(sys.executable).resolve())
    if "_ctypes" in sys.builtin_module_names:
        pytest.skip("this Python has ctypes built in")
    runtime = find_python(Root(ROOT), python=interpreter.source)
    files = {library.dest: library.source for library in runtime.libraries.libraries}
    for path in (interpreter.source, *interpreter.stdlib.rglob("*.py")):
        files[PurePosixPath(path.relative_to("/"))] = path
    for dest, source in files.items():
        (tmp_path / dest).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / dest)
    (tmp_path / interpreter.dynload.relative_to("/")).mkdir(exist_ok=True)
    if HERE >= (3, 10):
        assert b"_ctypes\0" in b"".join(path.read_bytes() for path in files.values()), "a string"
    error = failure(tmp_path, tmp_path / interpreter.source.relative_to("/"))
    assert error.message.endswith("Python without the module ctypes, needed by ctypes")
    assert error.hint is not None and f"libpython3.{HERE[1]}-stdlib" in error.hint


@pytest.mark.parametrize("missing", ["ctypes/__init__", "_ctypes"])
def test_python_without_ctypes(tmp_path: Path, missing: str) -> None:
    error = failure(make_root(tmp_path, without=(missing,)))
    assert f"usr/bin/python3.{HERE[1]}: Python without the module ctypes, needed by" in str(error)
    assert error.hint is not None and "python3-minimal" in error.hint


def test_python_without_a_standard_library(tmp_path: Path) -> None:
    write_elf(tmp_path / "usr/bin/python3.11")
    error = failure(tmp_path, Path("/usr/bin/python3.11"))
    assert error.message == f"{tmp_path}/usr/bin/python3.11: no standard library beside it"
    assert error.hint is not None and "usr/lib/python3.11" in error.hint


def test_shim_of_pyenv(tmp_path: Path) -> None:
    shim = tmp_path / "home/.pyenv/shims/python3"
    shim.parent.mkdir(parents=True)
    shim.write_text("#!/usr/bin/env bash\nexec pyenv exec\n")
    error = failure(tmp_path, shim)
    assert error.message == f"{shim}: not a Python interpreter, but a script"
    assert error.hint == "name what `pyenv which python3` prints"
    assert failure(tmp_path, Path("/gone")).message == f"/gone: no such Python in {tmp_path}"


def test_virtual_environment_stands_for_its_interpreter(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    copy = write_elf(root / "srv/venv/bin/python")
    config = root / "srv/venv/pyvenv.cfg"
    config.write_text(f"home = /usr/bin\nversion = 3.{HERE[1]}.4\n")
    found = find_interpreter(Root(root), python=copy)
    assert found.source == root / f"usr/bin/python3.{HERE[1]}"
    config.write_text("home = /opt/bin\n")
    error = failure(root, copy)
    assert error.message == (
        "/srv/venv/bin/python: the environment's interpreter is not in /opt/bin"
    )


def test_imports_that_run_on_linux() -> None:
    text = b"""
import a.b
lazy import never
lazy from never import (
    never,
)
from . import near
from ..up import name
if TYPE_CHECKING:
    import never
if sys.platform == "win32":
    import never
elif "posix" in names:
    import posix
else:
    import never
try:
    import fast
except ImportError:
    import slow
class C:
    import inside
def f():
    import never
if __name__ == "__main__":
    import never
"""
    found = {
        each.name: each.optional
        for each in imports_of(text, name="pkg.sub.mod", package=False, late=False)
    }
    assert found == {
        "a": False, "a.b": False, "pkg": False, "pkg.sub": False, "pkg.sub.near": True,
        "pkg.up": False, "pkg.up.name": True, "posix": False, "fast": True, "slow": True,
        "inside": False,
    }  # fmt: skip


def test_cache_holds_and_heals(cache: Path) -> None:
    source = b"import os\nX = 'y' in {'y', 'z'}\n"

    def found() -> tuple[object, object]:
        return imports_of(source, name="m", package=False, late=False), compiled(
            [("m.py", source)], Path(sys.executable)
        )

    fresh = found()
    entries = sorted(cache.iterdir())
    assert len(entries) == 2
    for entry in entries:
        entry.write_bytes(b"rubbish" + entry.read_bytes())
    assert found() == fresh
    for entry in entries:
        assert not entry.read_bytes().startswith(b"rubbish")
    assert cache.stat().st_mode & 0o777 == 0o700


def test_cache_that_others_can_write_is_not_trusted(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    imports_of(b"", name="m", package=False, late=False)
    assert list(cache.iterdir()) == []


def test_cache_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert imports_of(b"", name="m", package=False, late=False) == ()


def test_source_that_this_python_cannot_read() -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        imports_of(b"def f(:\n", name="m", package=False, late=False)
    assert "m: this Python cannot read that module of the image's Python" in caught.value.message
    assert caught.value.hint is not None and "--python" in caught.value.hint
