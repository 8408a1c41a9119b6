# SPDX-License-Identifier: GPL-2.0-or-later
"""Saver and generator on each Python of Debian's releases, the oldest to the newest."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdump_initrd.probe.python.bytecode import compiled
from kdump_initrd.probe.python.minimal import PythonRuntime
from kdump_initrd.probe.python.zipped import stdlib_zip
from tests.saver.running import arguments, child
from tests.saver.synthetic import EVERY_KIND, build

from . import machines
from .debianpythons import CHOSEN, PYTHONS, REPO, DebianPython

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]
every_python = pytest.mark.parametrize("python", PYTHONS, ids=str)
IMPORT = """
import ctypes, sys
for name in sys.argv[1:]:
    __import__(name)
type("S", (ctypes.Structure,), {"_fields_": [("x", ctypes.c_int)]})
for module in list(sys.modules.values()):
    print(getattr(getattr(module, "__spec__", None), "origin", None) or "none")
"""
SAVE = """
import sys
from kdump_initrd.saver.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
#: The names of the modules that a root's Python needs: ROOT, PYTHON, and what recipes name.
LOOK = """
import sys
from pathlib import Path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.python.minimal import find_python
found = find_python(Root(Path(sys.argv[1])), python=Path(sys.argv[2]), chosen=sys.argv[3:])
print(*found.names)
"""
#: The generator's tests that ask nothing of the host but programs, which these have not.
TESTS = (
    *("tests/config", "tests/grammar", "tests/golden_images"),
    *(f"tests/unit/test_{name}.py" for name in (
        "cpio", "elf", "inittab", "listing", "module_damage", "proof", "pruning", "python",
        "saver_modules", "segments", "tomllines")),
)  # fmt: skip
WITHOUT = "not shellcheck and not synopsis and not lsinitramfs and not module_that_is_damaged"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield


def run(starter: Path, code: str, *words: object, home: Path, path: str) -> list[str]:
    """Run code as an image does, which has nothing but what ``path`` (PYTHONPATH) has."""
    environment = {"PYTHONHOME": str(home), "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [starter, "-S", "-s", "-B", "-c", code, *map(str, words)], env=environment, cwd="/",
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    check(done)
    return done.stdout.splitlines()


def check(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that a program has done its work, and that Python has said nothing."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("kdump-initrd: ")]
    assert (done.returncode, lines) == (0, [])


@every_python
@pytest.mark.parametrize("form", ["sources", "bytecode"])
def test_the_saver_runs_on_it(
    python: DebianPython, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes the dump that it makes on the Python that runs this, and warns of nothing."""
    starter, runtime = python.starter(tmp_path / "python"), python.runtime()
    monkeypatch.setattr(PythonRuntime, "compiler", starter if form == "bytecode" else None)
    archive, home = tmp_path / "python.zip", tmp_path / "home"
    archive.write_bytes(stdlib_zip(runtime))
    (home / f"lib/{python}/lib-dynload").mkdir(parents=True)
    path = f"{archive}:{runtime.interpreter.dynload}"
    names = [each for each in runtime.names if not each.endswith("__main__")]
    origins = {*run(starter, IMPORT, *names, home=home, path=path)}
    places = tuple(path.split(":"))
    odd = {each for each in origins - {"none", "built-in", "frozen"} if not each.startswith(places)}
    assert odd == set()
    vmcore = build(f"kernel 7.1\n{EVERY_KIND}", tmp_path / "vmcore")

    def words(output: str) -> list[str]:
        return arguments(vmcore, tmp_path / output, dump_level=31, dump_compress="lzo")

    run(starter, SAVE, *words("theirs"), home=home, path=path)
    strict = ("-S", "-s", "-B", "-W", "error")
    for done in (child(*words("ours")), child(*words("w"), python=str(starter), flags=strict)):
        check(done)
    dumps = [(tmp_path / name / "crash/vmcore").read_bytes() for name in ("ours", "theirs", "w")]
    assert dumps[1:] == [dumps[0], dumps[0]]


@every_python
def test_the_same_sources_give_the_same_bytes(python: DebianPython, tmp_path: Path) -> None:
    """Whatever was compiled before in that process."""
    starter = python.starter(tmp_path / "python")
    folder = python.runtime().interpreter.stdlib
    paths = [*sorted((REPO / "kdump_initrd").rglob("*.py")), *sorted(folder.glob("*.py"))]
    sources = [(path.name, path.read_bytes()) for path in paths if path.exists()]
    there = compiled(sources, starter)
    back = compiled(sources[::-1], starter)
    assert len(there) > 300
    assert there == back[::-1]


@every_python
def test_the_generator_reads_each_of_them(python: DebianPython, tmp_path: Path) -> None:
    """An older Python reads a newer one's standard library, and finds what any other finds."""
    starter = python.starter(tmp_path / "python")
    modules = python.install(tmp_path / "modules")
    for other in PYTHONS:
        words = (other.root, f"/usr/bin/{other}", *CHOSEN)
        done = subprocess.run(
            [starter, "-B", "-W", "error", "-c", LOOK, *map(str, words)], cwd="/", timeout=300,
            env={"PYTHONPATH": f"{REPO}:{modules}"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        check(done)
        assert done.stdout.split() == list(other.runtime().names)


@every_python
def test_questions_about_a_machine_are_answered_on_it(python: DebianPython, tmp_path: Path) -> None:
    """The image was made by another Python."""
    starter = python.starter(tmp_path / "python")
    modules = python.install(tmp_path / "modules")
    root = machines.ready(tmp_path / "root")
    code = "import sys; from kdump_initrd.commands.start import admin; sys.exit(admin())"
    for verb in ("status", "check", "estimate"):
        done = subprocess.run(
            [starter, "-B", "-W", "error", "-c", code, verb, "--root", str(root)], cwd="/",
            env={"PYTHONPATH": f"{REPO}:{modules}"}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        check(done)


@every_python
def test_the_generator_s_tests_pass_on_it(python: DebianPython, tmp_path: Path) -> None:
    """In its own root, and each warning is an error."""
    words = ["-q", "-p", "no:cacheprovider", "-m", "not qemu and not full", "-k", WITHOUT]
    # Debian 11's depmod and modprobe read no module that is packed by zstd.
    words[-1] += " and not zst" if python.suite == "bullseye" else ""
    tests = [name for name in TESTS if python.suite != "bullseye" or "golden" not in name]
    argv = [f"/usr/bin/{python}", "-W", "error", "-m", "pytest", *words, "--timeout=600", *tests]
    done = python.enter(tmp_path / "state", *argv, timeout=1700)
    assert done.status == 0, done.stdout.decode()[-4000:]
