# SPDX-License-Identifier: GPL-2.0-or-later
"""An image has of the saver what can run there, whatever imports it and when, and no more."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kdump_initrd import saver
from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.core.root import Root
from kdump_initrd.probe.kernel.releases import KernelRelease
from kdump_initrd.probe.python.minimal import find_python
from kdump_initrd.probe.python.zipped import stdlib_zip
from kdump_initrd.recipes.parts import chosenmodules
from kdump_initrd.saver import arch
from kdump_initrd.saver.params import TargetParams
from kdump_initrd.targets.target import Target
from tests import rooms

from .captureimage import build, unpack
from .kernelimages import IMAGES
from .pythons import interpreters

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = sorted(path.stem for path in Path(arch.__file__).parent.glob("[!_]*.py"))
#: The modules that import by a name that is a value: an image is told of what these may import.
BY_VALUE = {"saver.save", "saver.arch", "saver.store", "saver.dump.sha256"}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterable[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def started() -> set[str]:
    """Return the modules that scripts of an image start."""
    scripts = [*CHECKOUT.glob("hooks/**/*"), *CHECKOUT.glob("templates/**/*")]
    texts = [path.read_text() for path in scripts if path.is_file()]
    calls = re.compile(r"^[^#\n]*(?<![\w/.-])python (\w+)", re.MULTILINE)
    return {name for text in texts for name in calls.findall(text)}


def reached(names: Iterable[str]) -> set[str]:
    """Return what modules of the saver import, at once or later, and themselves."""
    found: set[str] = set()
    todo = [*names]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [name.rpartition(".")[0]] if name else []
            todo += [each for each in rooms.imports(name) if not each.startswith("/")]
    return found


def below(names: Iterable[str]) -> set[str]:
    return {f"kdump_initrd.{name}".rstrip(".") for name in names}


def archive(place: Path, chosen: Iterable[str], python: Path | None = None) -> list[str]:
    """Write the zip of an image; return the names of the saver's modules in it."""
    path = python or Path(sys.executable).resolve()
    runtime = find_python(Root(Path("/")), python=path, chosen=chosen)
    place.write_bytes(stdlib_zip(runtime))
    return [each.name for each in runtime.modules if each.name.startswith("kdump_initrd")]


def run(python: Path, place: Path, code: str, *words: str) -> list[str]:
    """Run code on a zip, and no other modules of ours."""
    done = subprocess.run(
        [python, "-S", "-s", "-B", "-c", code, *words], env={"PYTHONPATH": str(place)}, cwd="/",
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def kernel(image: bytes | None, folder: Path) -> KernelRelease:
    path = folder / "vmlinuz"
    if image is not None:
        path.write_bytes(image)
    return KernelRelease("6.1", path if image is not None else None, None, {})


def target(store: str) -> Target:
    return cast(Target, SimpleNamespace(params=lambda: TargetParams(store=store)))


def test_a_real_image_has_what_its_scripts_reach(tmp_path: Path) -> None:
    tree = unpack(build(tmp_path / "image"), tmp_path / "tree")
    with zipfile.ZipFile(tree / "usr/lib/kdump-initrd/python.zip") as found:
        members = [name for name in found.namelist() if name.startswith("kdump_initrd/")]
    names = {name.partition(".")[0].replace("/", ".") for name in members}
    own = type(arch.of_uname(os.uname().machine)).__module__.removeprefix("kdump_initrd.")
    starts = {f"saver.{name}" for name in started()}
    assert {name.removesuffix(".__init__") for name in names} == below(
        reached({*starts, own, "saver.store.folder"})
    )
    assert [name for name in FILES if f"kdump_initrd.saver.arch.{name}" in names] == [own[11:]]
    assert "kdump_initrd.saver.store.namedfile" not in names


def test_what_is_imported_by_a_value_is_known() -> None:
    """Another such module has to say here how an image learns of what it may import."""
    found = set()
    for name, path in rooms.MODULES.items():
        if name.startswith("saver"):
            words = {node.id for node in ast.walk(ast.parse(path.read_text()))
                     if isinstance(node, ast.Name)}  # fmt: skip
            assert "importlib" not in path.read_text()
            found |= {name} if "__import__" in words else set()
    assert found == BY_VALUE


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: str(path).replace("/", "_"))
def test_every_import_works_in_the_image(python: Path, tmp_path: Path) -> None:
    """Each at a time, in an order that no run has, and late ones as well."""
    own = f"{arch.__name__}.{os.uname().machine}"
    place = tmp_path / "python.zip"
    names = archive(place, [own, f"{saver.__name__}.store.folder"], python)
    wanted: dict[str, None] = {}
    for name in names:
        for each in rooms.imports(name.removeprefix("kdump_initrd").removeprefix(".")):
            full = each.removeprefix("/") if each.startswith("/") else f"kdump_initrd.{each}"
            wanted[full.rstrip(".")] = None
    assert "kdump_initrd.saver.dump.collector" in wanted
    code = "import sys\nfor name in sys.argv[1:]:\n    __import__(name)\nprint(len(sys.argv) - 1)"
    assert run(python, place, code, *reversed(wanted)) == [str(len(wanted))]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_the_architecture_of_its_kernel(name: str, tmp_path: Path) -> None:
    image, header = IMAGES[name]
    chosen = chosenmodules.of_image((), kernel(image, tmp_path), CaptureSettings())
    found = arch.of_uname(header.machine)
    if found.elf:
        assert chosen == {f"{arch.__name__}.{type(found).__module__.rpartition('.')[2]}"}
    else:
        assert chosen == {f"{arch.__name__}.{each}" for each in FILES}


def test_of_a_kernel_that_is_not_there_nothing_is_known(tmp_path: Path) -> None:
    chosen = chosenmodules.of_image((), kernel(None, tmp_path), CaptureSettings())
    assert chosen == {f"{arch.__name__}.{name}" for name in FILES}


def test_an_image_has_the_ways_to_write_to_its_targets(tmp_path: Path) -> None:
    targets = [target(name) for name in ("folder", "stream", "folder")]
    this = kernel(IMAGES["x86_64"][0], tmp_path)
    chosen = chosenmodules.of_image(targets, this, CaptureSettings())
    wanted = {"saver.store.folder", "saver.store.stream", "saver.arch.x86_64"}
    assert chosen == below(wanted)
    for name in ("keep", "max_age", "max_use", "loop_crashes"):
        rule: dict[str, Any] = {name: 1}
        chosen = chosenmodules.of_image(targets, this, CaptureSettings(**rule))
        assert chosen == below({*wanted, "saver.oldcrashes"})


ASK = """
import sys
from kdump_initrd.saver import arch
for name in sys.argv[2:]:
    print(arch.of_uname(name).elf)
own, other = arch.of_elf(int(sys.argv[1])), arch.of_elf(4660)
print(own.elf, type(own).__name__, other.elf, type(other).__name__, other.unames, sep="/")
print(*(name for name in sys.modules if name.startswith(arch.__name__ + ".") and "._" not in name))
"""


@pytest.mark.parametrize("name", FILES)
def test_an_architecture_s_file_is_enough(name: str, tmp_path: Path) -> None:
    place = tmp_path / "python.zip"
    full = f"{arch.__name__}.{name}"
    names = archive(place, [full])
    assert {each for each in names if each.startswith(f"{arch.__name__}.")} == below(
        each for each in reached([f"saver.arch.{name}"]) if each.startswith("saver.arch.")
    )
    found = __import__(full, fromlist=["ARCHITECTURE"]).ARCHITECTURE
    words = [each.rstrip("*") for each in found.unames]
    others = [each for each in ("x86_64", "s390x", "nobody") if not found.is_called(each)]
    lines = run(Path(sys.executable).resolve(), place, ASK, str(found.elf), *words, *others)
    assert lines[: len(words)] == [str(found.elf)] * len(words)
    assert lines[len(words) : len(words) + len(others)] == ["0"] * len(others)
    assert lines[-2] == f"{found.elf}/{type(found).__name__}/4660/Architecture/()"
    assert lines[-1] == full
