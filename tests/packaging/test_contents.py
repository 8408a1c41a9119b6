# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in the packages: what ``make install`` installs, with its modes, and what they name."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kdump_initrd import __version__
from kdump_initrd.core.run import run

from .building import FAMILIES, REPO, Entry, Packages, build, in_deb, in_rpm, in_tree, make

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFFILES = {
    "/etc/kernel/postinst.d/zz-kdump-initrd",
    "/etc/kernel/postrm.d/zz-kdump-initrd",
    "/etc/initramfs/post-update.d/kdump-initrd",
}
SPEC = REPO / "distros/redhat/packaging/kdump-initrd.spec"
DEBIAN = REPO / "distros/debian/packaging"
#: What the packages have besides: the changes, the licence, what debhelper and rpm make.
DEB_OWN = {
    "/usr/share/doc/kdump-initrd/changelog",
    "/usr/share/doc/kdump-initrd/copyright",
    "/usr/share/lintian/overrides/kdump-initrd",
    "/usr/share/python3/runtime.d/kdump-initrd.rtupdate",
}
RPM_OWN = {
    f"/usr/share/licenses/kdump-initrd-{__version__}/LICENSE",
    "/usr/lib/systemd/system-preset/80-kdump-initrd.preset",
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """What make install installs for each family."""
    top = tmp_path_factory.mktemp("install")
    for family in ("debian", *FAMILIES):
        make("install", f"DESTDIR={top / family}", "PREFIX=/usr", f"FAMILY={family}")
    return {family: top / family for family in ("debian", *FAMILIES)}


def plain(entries: Mapping[str, Entry]) -> dict[str, int]:
    """Return files' modes by path, without what Debian and rpm do to names."""
    moved = {
        re.sub(r"\.gz$", "", path)
        .replace("zsh/vendor-completions", "zsh/site-functions")
        .replace("/usr/share/doc/packages/", "/usr/share/doc/"): entry
        for path, entry in entries.items()
        if entry.mode & 0o170000 != 0o040000
    }
    return {re.sub("^/lib/", "/usr/lib/", path): entry.mode for path, entry in moved.items()}


def test_the_deb_is_what_make_installs(packages: Packages, trees: Mapping[str, Path]) -> None:
    found = plain(in_deb(packages.deb))
    assert set(found) >= DEB_OWN
    assert {p: m for p, m in found.items() if p not in DEB_OWN} == plain(in_tree(trees["debian"]))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_rpm_is_what_make_installs(
    packages: Packages, trees: Mapping[str, Path], family: str
) -> None:
    found = plain(in_rpm(packages.rpm(family)))
    assert set(found) >= RPM_OWN
    assert {p: m for p, m in found.items() if p not in RPM_OWN} == plain(in_tree(trees[family]))


def test_the_code_is_whole(trees: Mapping[str, Path]) -> None:
    top = trees["debian"] / "usr/lib/kdump-initrd"
    wanted = {
        str(path.relative_to(REPO)): bool(path.stat().st_mode & 0o111)
        for folder in ("kdump_initrd", "templates", "hooks", "distros")
        for path in (REPO / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    own = ("hooks/host", "distros/debian/packaging", "distros/linux/packaging",
           "distros/redhat/packaging", "distros/suse/packaging")  # fmt: skip
    wanted = {name: x for name, x in wanted.items() if not name.startswith(own)}
    found = {
        str(path.relative_to(top)): bool(path.stat().st_mode & 0o111)
        for path in top.rglob("*")
        if path.is_file()
    }
    assert found == wanted


@pytest.mark.parametrize("kind", ["deb", *FAMILIES])
def test_modes_and_owners(packages: Packages, kind: str) -> None:
    entries = in_deb(packages.deb) if kind == "deb" else in_rpm(packages.rpm(kind))
    programs = [path for path, entry in entries.items() if entry.mode == 0o100755]
    commands = ("sbin/mkinitrd-kdump", "sbin/kdump-initrd", "bin/vmcore-save")
    assert {f"/usr/{each}" for each in commands} <= set(programs)
    for path, entry in entries.items():
        assert entry.mode in (0o100644, 0o100755, 0o040755), path
        assert entry.owner in ("0:0", "root:root"), path
    ours = "lib/kdump-initrd/(hooks/|kernels-changed$)"
    for path in programs:
        assert re.match(f"/usr/(s?bin/|{ours}|lib/kernel/|share/python3/)|/etc/", path), path


@pytest.mark.parametrize("kind", ["deb", *FAMILIES])
def test_pages_and_completions_are_inside(packages: Packages, kind: str) -> None:
    found = plain(in_deb(packages.deb) if kind == "deb" else in_rpm(packages.rpm(kind)))
    pages = {f"/usr/share/man/man{p.suffix[1:]}/{p.name}" for p in REPO.glob("docs/man/*.[1-9]")}
    assert pages == {path for path in found if path.startswith("/usr/share/man/")}
    for command in ("mkinitrd-kdump", "kdump-initrd", "vmcore-save"):
        assert f"/usr/share/man/man8/{command}.8" in pages
        assert f"/usr/share/bash-completion/completions/{command}" in found
        assert f"/usr/share/zsh/site-functions/_{command}" in found
        assert f"/usr/share/fish/vendor_completions.d/{command}.fish" in found


def test_conffiles_are_the_hooks(packages: Packages) -> None:
    marked = run(["dpkg-deb", "-I", packages.deb, "conffiles"], timeout=30).stdout.decode()
    in_etc = {
        path
        for path, entry in in_deb(packages.deb).items()
        if path.startswith("/etc/") and entry.mode == 0o100755
    }
    assert set(marked.split()) == in_etc == CONFFILES


def test_the_example_is_no_active_configuration(packages: Packages) -> None:
    for entries in (in_deb(packages.deb), *map(in_rpm, map(packages.rpm, FAMILIES))):
        named = [path for path in entries if path.endswith("/kdump-initrd.toml")]
        assert len(named) == 1
        assert named[0].startswith("/usr/share/doc/")


def test_one_version_everywhere() -> None:
    changes = (DEBIAN / "changelog").read_text().splitlines()[0]
    assert changes.startswith(f"kdump-initrd ({__version__}) ")
    assert f"\nVersion:        {__version__}\n" in SPEC.read_text()
    assert f" - {__version__}-1\n" in SPEC.read_text().partition("%changelog")[2]


def dependencies() -> Iterator[tuple[str, str]]:
    """Yield the projects that pyproject.toml names, with the oldest version."""
    table = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    for line in table["dependencies"]:
        match = re.match(r"([\w-]+)>=([\d.]+)", line)
        assert match, line
        yield match[1], match[2]


def test_dependencies_of_the_deb(packages: Packages) -> None:
    named = run(["dpkg-deb", "-f", packages.deb, "Depends"], timeout=30).stdout.decode()
    for project, version in dependencies():
        if project != "tomli":
            assert f"python3-{project} (>= {version})" in named
    assert "python3 (>= 3.11) | python3-tomli" in named
    assert {"kexec-tools", "kmod"} <= set(re.split(r"[, ]+", named))


@pytest.mark.parametrize(
    ("family", "jinja"), [("redhat", "python3-jinja2"), ("suse", "python3-Jinja2")]
)
def test_dependencies_of_the_rpm(packages: Packages, family: str, jinja: str) -> None:
    named = run(["rpm", "-qp", "--requires", packages.rpm(family)], timeout=30).stdout.decode()
    wanted = {
        jinja, "python3 >= 3.9", "python3-libarchive-c >= 2.9", "python3-pyelftools",
        "(python3-tomli if python3 < 3.11)", "kexec-tools", "kmod", "util-linux",
    }  # fmt: skip
    assert wanted <= set(named.splitlines())
    recommended = run(["rpm", "-qp", "--recommends", packages.rpm(family)], timeout=30).stdout
    assert recommended.decode().split() == ["busybox", "zstd"]


def test_every_library_is_a_dependency() -> None:
    # A new import must get into the packages, too.
    known = {"jinja2", "libarchive", "elftools", "tomli", "kdump_initrd"}
    for path in (REPO / "kdump_initrd").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            tops = {name.split(".")[0] for name in names}
            assert tops <= known | sys.stdlib_module_names, path


@pytest.mark.timeout(120)
def test_the_same_sources_make_the_same_packages(packages: Packages, tmp_path: Path) -> None:
    again = build(tmp_path)
    assert again.deb.read_bytes() == packages.deb.read_bytes()
    for family in FAMILIES:
        assert again.rpm(family).read_bytes() == packages.rpm(family).read_bytes()
