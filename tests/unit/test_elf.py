# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF closures: against the host's loader, and on roots of ELF files made by code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.programs.closure import Closure, closure
from kdump_initrd.probe.programs.elffile import read_elf

from .elfwriter import AARCH64, I386, PPC64, RISCV, S390, X86_64, write_elf

LOADER = "/lib64/ld-linux-x86-64.so.2"
FOLDER = "lib/x86_64-linux-gnu"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_elf(tmp_path / LOADER[1:], soname="ld-linux-x86-64.so.2")
    write_elf(tmp_path / FOLDER / "libc.so.6", ("ld-linux-x86-64.so.2",), soname="libc.so.6")
    return tmp_path


def program(root: Path, *needed: str, path: str = "usr/bin/tool", **options: str) -> Path:
    return write_elf(root / path, needed, interpreter=LOADER, **options)  # type: ignore[arg-type]


def dests(found: Closure) -> list[str]:
    return [str(library.dest) for library in found.libraries]


def failure(root: Path, *paths: Path) -> KdumpInitrdError:
    with pytest.raises(KdumpInitrdError) as caught:
        closure(paths, root=Root(root))
    return caught.value


def host_programs() -> list[Path]:
    """Return some three dozen dynamic programs of this host, and the Python that runs this."""
    found = [Path(sys.executable).resolve()]
    for folder in ("/usr/bin", "/usr/sbin"):
        paths = sorted(Path(folder).iterdir())
        found += [path.resolve() for path in paths[:: max(1, len(paths) // 25)]]
    files = dict.fromkeys(path for path in found if path.is_file())
    return [path for path in files if path.read_bytes().startswith(b"\x7fELF")]


def test_differential_against_the_loader() -> None:
    compared = 0
    for path in host_programs():
        interpreter = read_elf(path).interpreter
        if interpreter is None:
            assert closure([path], root=Root()).libraries == ()
            continue
        loader = subprocess.run(
            [interpreter, "--list", str(path)], capture_output=True, text=True, env={}, timeout=20
        )
        assert loader.returncode == 0, loader.stderr
        listed = re.findall(r"(/\S+) \(0x[0-9a-f]+\)", loader.stdout)
        found = closure([path], root=Root())
        assert {os.path.realpath(name) for name in listed} == {
            str(library.source) for library in found.libraries
        }, path
        compared += 1
    assert compared >= 5


def test_header_of_every_architecture(tmp_path: Path) -> None:
    cases = (
        (X86_64, 64, "<", "x86_64"), (I386, 32, "<", "i386"), (PPC64, 64, ">", "ppc64"),
        (PPC64, 64, "<", "ppc64le"), (AARCH64, 64, "<", "aarch64"), (S390, 64, ">", "s390x"),
        (RISCV, 64, "<", "riscv64"), (40, 32, "<", "arm"), (8, 32, ">", "mips"),
    )  # fmt: skip
    for machine, bits, order, name in cases:
        path = write_elf(
            tmp_path / name, ("liba.so", "libb.so"), machine=machine, bits=bits, order=order,
            interpreter="/lib/ld.so.1", soname="x.so", rpath="/a::/b", runpath="$ORIGIN",
        )  # fmt: skip
        elf = read_elf(path)
        assert elf.architecture.name == name
        assert (elf.bits, elf.little_endian, elf.type) == (bits, order == "<", "DYN")
        assert elf.needed == ("liba.so", "libb.so")
        assert (elf.interpreter, elf.soname) == ("/lib/ld.so.1", "x.so")
        assert (elf.rpath, elf.runpath) == (("/a", "/b"), ("$ORIGIN",))


def test_closure_names_who_needs_what(root: Path) -> None:
    write_elf(root / FOLDER / "liba.so.1", ("libc.so.6",), soname="liba.so.1")
    found = closure([program(root, "liba.so.1", "libc.so.6")], root=Root(root))
    assert [(str(each.dest), each.why) for each in found.libraries] == [
        ("lib/x86_64-linux-gnu/liba.so.1", "needed by usr/bin/tool"),
        ("lib/x86_64-linux-gnu/libc.so.6", "needed by usr/bin/tool"),
        ("lib64/ld-linux-x86-64.so.2", "needed by usr/bin/tool"),
    ]
    assert found.extra_dirs == ()


def test_missing_library_names_who_needs_it(root: Path) -> None:
    write_elf(root / FOLDER / "liba.so.1", ("libgone.so.3",))
    error = failure(root, program(root, "liba.so.1"))
    assert error.message == (
        "libgone.so.3: library not found, needed by /lib/x86_64-linux-gnu/liba.so.1 (x86_64)"
    )
    assert error.hint is not None and str(root) in error.hint


def test_missing_loader(root: Path) -> None:
    (root / LOADER[1:]).unlink()
    assert failure(root, program(root)).message == (
        f"{LOADER}: loader not found, needed by /usr/bin/tool"
    )


def test_other_architecture_is_passed_over_or_an_error(root: Path) -> None:
    write_elf(root / FOLDER / "liba.so", machine=I386, bits=32)
    error = failure(root, program(root, "liba.so"))
    assert error.message == "liba.so: wrong architecture, needed by /usr/bin/tool (x86_64)"
    assert error.hint == "/lib/x86_64-linux-gnu/liba.so is for 386"
    write_elf(root / "usr/lib/liba.so")
    assert "usr/lib/liba.so" in dests(closure([root / "usr/bin/tool"], root=Root(root)))


def test_text_by_the_name_of_a_library_is_passed_over(root: Path) -> None:
    (root / FOLDER / "liba.so").write_text("GROUP ( /lib/liba.so.1 )")
    write_elf(root / "usr/lib/liba.so")
    assert "usr/lib/liba.so" in dests(closure([program(root, "liba.so")], root=Root(root)))


def test_runpath_is_not_inherited_but_rpath_is(root: Path) -> None:
    write_elf(root / "opt/lib/liba.so", ("libb.so",))
    write_elf(root / "opt/lib/libb.so")
    found = closure([program(root, "liba.so", rpath="/opt/lib")], root=Root(root))
    assert "opt/lib/libb.so" in dests(found)
    error = failure(root, program(root, "liba.so", runpath="/opt/lib"))
    assert error.message.startswith("libb.so: library not found, needed by /opt/lib/liba.so")


def test_rpath_is_ignored_beside_runpath(root: Path) -> None:
    write_elf(root / "old/liba.so")
    error = failure(root, program(root, "liba.so", rpath="/old", runpath="/new"))
    assert error.message.startswith("liba.so: library not found")


def test_tokens(root: Path) -> None:
    tool = program(root, "liba.so", "libb.so", "libc2.so", path="opt/x/bin/tool",
                   runpath="$ORIGIN/../lib:/opt/${LIB}:/opt/$PLATFORM:relative")  # fmt: skip
    write_elf(root / "opt/x/lib/liba.so")
    write_elf(root / "opt/lib64/libb.so")
    write_elf(root / "opt/x86_64/libc2.so")
    found = closure([tool], root=Root(root))
    wanted = {"opt/x/lib/liba.so", "opt/lib64/libb.so", "opt/x86_64/libc2.so"}
    assert wanted <= set(dests(found))
    assert found.extra_dirs == ()


def test_origin_of_a_program_is_behind_its_links(root: Path) -> None:
    program(root, "liba.so", path="opt/x/bin/tool", runpath="$ORIGIN/../lib")
    write_elf(root / "opt/x/lib/liba.so")
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").symlink_to("/opt/x/bin/tool")
    assert "opt/x/lib/liba.so" in dests(closure([root / "usr/bin/tool"], root=Root(root)))


def test_folders_of_ld_so_conf_are_reported(root: Path) -> None:
    (root / "etc/ld.so.conf.d").mkdir(parents=True)
    (root / "etc/ld.so.conf").write_text(
        "# comment\ninclude ld.so.conf.d/*.conf\ninclude /etc/ld.so.conf\nhwcap 1 nosegneg\n"
    )
    (root / "etc/ld.so.conf.d/a.conf").write_text("/opt/lib # ours\n/usr/lib=libc6\n")
    write_elf(root / "opt/lib/liba.so")
    write_elf(root / FOLDER / "liba.so")
    found = closure([program(root, "liba.so", "libc.so.6")], root=Root(root))
    assert "opt/lib/liba.so" in dests(found)
    assert found.extra_dirs == (PurePosixPath("/opt/lib"),)


def test_absolute_links_stay_in_the_root(root: Path) -> None:
    real = write_elf(root / "srv/liba.so.1.2")
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/liba.so").symlink_to("/srv/liba.so.1.2")
    found = closure([program(root, "liba.so")], root=Root(root))
    library = next(each for each in found.libraries if each.dest.name == "liba.so")
    assert (str(library.dest), library.source) == ("usr/lib/liba.so", real)


def test_folders_of_other_architectures(tmp_path: Path) -> None:
    for machine, bits, order, folder in (
        (PPC64, 64, "<", "lib64"), (S390, 64, ">", "usr/lib/s390x-linux-gnu"),
        (I386, 32, "<", "usr/lib"), (RISCV, 64, "<", "lib64/lp64d"),
    ):  # fmt: skip
        root = tmp_path / str(machine)
        write_elf(root / folder / "liba.so", machine=machine, bits=bits, order=order)
        write_elf(root / "lib/ld.so.1", machine=machine, bits=bits, order=order)
        tool = write_elf(root / "bin/tool", ("liba.so",), machine=machine, bits=bits, order=order,
                         interpreter="/lib/ld.so.1")  # fmt: skip
        assert f"{folder}/liba.so" in dests(closure([tool], root=Root(root)))


def test_musl(tmp_path: Path) -> None:
    loader = "/lib/ld-musl-x86_64.so.1"
    write_elf(tmp_path / loader[1:], soname="libc.musl-x86_64.so.1")
    write_elf(tmp_path / "usr/local/lib/liba.so", ("libc.musl-x86_64.so.1", "libb.so"))
    write_elf(tmp_path / "opt/libb.so")
    tool = write_elf(tmp_path / "bin/tool", ("liba.so", "libc.musl-x86_64.so.1"),
                     interpreter=loader, runpath="/opt")  # fmt: skip
    assert dests(closure([tool], root=Root(tmp_path))) == [
        "lib/ld-musl-x86_64.so.1", "opt/libb.so", "usr/local/lib/liba.so",
    ]  # fmt: skip
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld-musl-x86_64.path").write_text("/lib:/srv/lib\n")
    write_elf(tmp_path / "srv/lib/liba.so")
    found = closure([tool], root=Root(tmp_path))
    assert "srv/lib/liba.so" in dests(found)
    assert found.extra_dirs == (PurePosixPath("/srv/lib"),)


def test_a_library_alone_takes_the_loader_of_the_programs(root: Path) -> None:
    plugin = write_elf(root / "usr/lib/plugins/p.so", ("libc.so.6",))
    found = closure([plugin, program(root)], root=Root(root))
    assert dests(found) == ["lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2"]


def test_static_programs_and_scripts(root: Path) -> None:
    script = root / "usr/bin/script"
    script.parent.mkdir(parents=True)
    script.write_text("#! /bin/static -eu\ntrue\n")
    static = write_elf(root / "bin/static")
    assert closure([static], root=Root(root)).libraries == ()
    (found,) = closure([script], root=Root(root)).libraries
    assert (str(found.dest), found.source, found.why) == ("bin/static", static, "runs script")
    static.unlink()
    assert "script: its interpreter /bin/static is not in" in failure(root, script).message


def test_neither_elf_nor_script(root: Path) -> None:
    text = root / "text"
    text.write_text("hello")
    assert failure(root, text).message.startswith(f"{text}: not an ELF file")
    assert failure(root, root / "gone").message == f"{root / 'gone'}: No such file or directory"
    assert failure(root, Path("/elsewhere")).message == f"/elsewhere: not in the root {root}"


def test_cut_and_scrambled_files_are_errors_and_nothing_worse(tmp_path: Path) -> None:
    whole = write_elf(tmp_path / "whole", ("libc.so.6",), interpreter=LOADER).read_bytes()
    broken = tmp_path / "broken"
    for place in range(len(whole)):
        for body in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            broken.write_bytes(body)
            try:
                read_elf(broken)
            except KdumpInitrdError as error:
                assert error.message.startswith(f"{broken}: ")


def test_library_that_is_cut_off(root: Path) -> None:
    """A full disk leaves it so: the loader would say it in the capture kernel."""
    tool = program(root, "libc.so.6")
    path = root / FOLDER / "libc.so.6"
    path.write_bytes(path.read_bytes()[:-1])
    error = failure(root, tool)
    assert (error.message, error.hint) == (f"{path}: cut off", "install its package again")
