# SPDX-License-Identifier: GPL-2.0-or-later
"""An architecture is one file: it is found in a folder and in a zip, and only what is needed."""

from __future__ import annotations

import ast
import ctypes
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdump_initrd.saver import arch, machine
from kdump_initrd.saver.__main__ import main
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf.elfcore import ElfCore
from kdump_initrd.saver.formats.kdump.kdumpread import KdumpDump

from .printk import add_log, ring
from .running import ROOT, child, save
from .samples import sample
from .vmcore import PAGE, Core, Machine

FOLDER = ROOT / "kdump_initrd/saver/arch"
NAMES = sorted({path.stem for path in FOLDER.glob("*.py")} - {"__init__"})
DUMMY = Machine(4, True, 4711)
#: All that a file can say; addresses of the kernel are physical ones, and 64 KiB more.
TEXT = """
from . import ALL, Architecture

class Dummy(Architecture):
    elf = 4711
    unames = ("dummy", "dum-*")
    word = 4
    big = True
    packed = True
    page = 4096
    finit_module = 42

    def phys_base(self, info, loads):
        return 7 + len(list(loads))

    def translator(self, memory, info):
        return lambda address: (address - 0x10000, ALL)

    def direct_map(self, memory, info):
        return 0x10000

    def kernel_image(self, memory, info):
        return 0x7000000, 0, 4096

ARCHITECTURE = Dummy()
"""


@pytest.fixture
def dummy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more file beside those that there are, and nothing else."""
    folder = tmp_path / "arch"
    folder.mkdir()
    (folder / "dummy.py").write_text(TEXT)
    monkeypatch.setattr(arch, "__path__", [*arch.__path__, str(folder)])
    monkeypatch.setattr(arch, "_known", [])
    yield
    del sys.modules[f"{arch.__name__}.dummy"]


def log_of(path: Path, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    assert main(["--dmesg", str(path)]) == 0, capfd.readouterr().err
    return capfd.readouterr().out


@pytest.mark.usefixtures("dummy")
def test_an_architecture_is_one_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    core = add_log(Core(DUMMY), ring(DUMMY), 0x100000, 0x110000)
    done = save(tmp_path, core, dmesg_name="log", dump_level=1, output=tmp_path / "kdump")
    assert (done.status, done.step("vmcore")["detail"]) == (0, "dummy, 1 ranges of memory")
    dump = open_dump(str(done.dump))
    assert isinstance(dump, KdumpDump)
    assert (dump.abi.uname, dump.abi.packed, dump.header.phys_base) == ("dummy", True, 8)
    # The log is found by kernel addresses, and an ELF dump gets them.
    log = (done.folder / "log").read_text()
    assert log.count("\n") == 30
    assert log_of(done.dump, capfd) == log
    again = save(tmp_path, done.dump, dump_format="elf", dump_level=1, output=tmp_path / "elf")
    assert again.status == 0
    elf = open_dump(str(again.dump))
    assert isinstance(elf, ElfCore)
    assert elf.ident[:6] == b"\x7fELF\1\2"
    assert [part.vaddr for part in elf.loads] == [0x7000000, 0x110000]
    assert elf.read_virtual(0x110000, PAGE) == dump.read_physical(0x100000, PAGE)
    assert log_of(again.dump, capfd) == log


@pytest.mark.usefixtures("dummy")
@pytest.mark.parametrize("name", ["dummy", "dum-2"])
def test_its_system_call_is_used(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Kernel:
        def syscall(self, number: ctypes.c_long, *_: object) -> int:
            asked.append(number.value)
            return 0

    (tmp_path / "a.ko").write_bytes(b"")
    (tmp_path / "list").write_text(f"{tmp_path}/a.ko\n")
    monkeypatch.setattr(os, "uname", lambda: type("", (), {"machine": name}))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Kernel())
    assert machine.main(["load", str(tmp_path / "list")]) == 0
    assert asked == [42]


@pytest.mark.usefixtures("dummy")
def test_a_page_size_that_is_not_told_is_the_architecture_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _: 65536)
    core, _ = sample(DUMMY)
    core.info = []
    done = save(tmp_path, core, dump_level=1)
    assert done.status == 0
    assert open_dump(str(done.dump)).page_size == 4096


def test_every_file_is_found_by_its_number_and_by_its_names() -> None:
    found = [__import__(f"{arch.__name__}.{name}", fromlist=["x"]).ARCHITECTURE for name in NAMES]
    assert len({each.elf for each in found}) == len(NAMES)
    for name, each in zip(NAMES, found):
        assert arch.of_elf(each.elf) is each
        assert name in each.unames or f"{name}*" in each.unames
        for uname in each.unames:
            assert arch.of_uname(uname.rstrip("*")) is each
        assert {each.uname(True), each.uname(False)} <= set(each.unames)


@pytest.mark.parametrize("name", ["", "x", "__init__", "os", "..x", "x86_64.x"])
def test_what_is_not_known_has_no_facts(name: str) -> None:
    """Names come from files: whatever they are, they are only compared."""
    found = arch.of_uname(name)
    assert (found.elf, found.unames, found.word, found.finit_module) == (0, (), 0, 0)
    assert arch.of_elf(4660).abi(8, False).machine == 4660
    assert arch.of_elf(4660).abi(8, False).uname == ""


SHOW = """
import sys
from kdump_initrd.saver import arch
names = sys.argv[1:]
found = [str(getattr(arch, name.split("=")[0])(eval(name.split("=")[1])).elf) for name in names]
print(*found, *sorted(name[24:] for name in sys.modules if name.startswith(arch.__name__ + ".")))
"""


def asked(place: Path, *words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-B", "-c", SHOW, *words],
        env={"PYTHONPATH": str(place)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module", params=["folder", "zip", "zip of bytecode"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The saver, with one more architecture."""
    top = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "kdump_initrd/saver", top / "kdump_initrd/saver",
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    shutil.copy(ROOT / "kdump_initrd/__init__.py", top / "kdump_initrd")
    (top / "kdump_initrd/saver/arch/dummy.py").write_text(TEXT)
    if request.param == "folder":
        return top
    if "bytecode" in request.param:
        subprocess.run([sys.executable, "-m", "compileall", "-qb", top], timeout=50, check=True)
    suffix = ".pyc" if "bytecode" in request.param else ".py"
    with zipfile.ZipFile(top / "python.zip", "w") as archive:
        for path in sorted((top / "kdump_initrd").rglob(f"*{suffix}")):
            archive.write(path, path.relative_to(top))
    shutil.rmtree(top / "kdump_initrd")
    return top / "python.zip"


def test_a_file_is_found_wherever_python_has_it_from(package: Path) -> None:
    own = os.uname().machine
    number = arch.of_uname(own).elf
    assert asked(package, f"of_elf={number}") == [str(number), own]
    assert asked(package, f"of_uname='{own}'") == [str(number), own]
    assert asked(package, "of_uname='ppc64le'") == ["21", "ppc64"]
    found = asked(package, "of_elf=4711", "of_uname='dum-1'", "of_elf=22", "of_uname='i586'")
    assert found[:4] == ["4711", "4711", "22", "3"]
    assert asked(package, "of_elf=4660") == ["4660", *sorted([*NAMES, "dummy"])]


def test_a_crash_of_this_machine_needs_one_file(tmp_path: Path) -> None:
    code = "import sys; from kdump_initrd.saver.__main__ import main; main(sys.argv[1:]);"
    code += "print(*[name for name in sys.modules if name.startswith('kdump_initrd.saver.arch.')])"
    path = sample()[0].write(tmp_path / "vmcore")
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-B", "-c", code, "--dmesg", str(path)],
        env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    names = [name.rpartition(".")[2] for name in done.stdout.split()]
    assert names == [os.uname().machine]
    assert child("--dmesg", str(path)).returncode == 3  # it has no log


def named(path: Path) -> Iterator[str]:
    """Yield the names and texts of a module's code; docstrings are not code."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, (ast.Attribute, ast.alias)):
            yield node.attr if isinstance(node, ast.Attribute) else node.name


def test_no_architecture_is_named_elsewhere_in_the_saver() -> None:
    word = re.compile(rf"(?i)\b({'|'.join(NAMES)}|i[3-6]86|arm64|powerpc|EM_)")
    assert word.search("EM_386") and word.search("x86_64_walk") and not word.search("alarm")
    for path in (ROOT / "kdump_initrd/saver").rglob("*.py"):
        if FOLDER not in path.parents:
            assert not [name for name in named(path) if word.search(name)], path
