# SPDX-License-Identifier: GPL-2.0-or-later
"""Foreign roots: from an empty cache, by apt and dpkg-deb alone, and one clear error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdump_initrd.core.run import run
from tests.vm.architectures import PPC64LE
from tests.vm.cached import cache
from tests.vm.kernels import Source, fetched
from tests.vm.suites import NoPackages, Suite

SUITE = Suite("sid", PPC64LE)
SOURCE = Source(SUITE, r"linux-image-\d.*-powerpc64le", "test")
#: Stands for apt: knows two kernels, and has the packages that lie in $DEBS. It notes its words.
_APT = """\
#!/bin/sh
echo "$0 $*" >> "$DEBS/said"
case " $* " in
    *" indextargets "*) echo 'http://mirror.test/debian|main|Debian|Debian' ;;
    *" pkgnames "*) echo linux-image-9.2.0-powerpc64le linux-image-10.1.0-powerpc64le linux-doc ;;
    *" no-such-package "*)
        echo 'E: Unable to locate package no-such-package' >&2
        exit 100 ;;
    *" install "*)
        for word in "$@"; do
            case $word in Dir::Cache=*) cp "$DEBS"/*.deb "${word#*=}/archives/" ;; esac
        done ;;
esac
"""


def package(folder: Path, name: str, *files: str) -> None:
    """Make a package whose script would leave a mark if it were run."""
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1\nArchitecture: ppc64el\nMaintainer: x <x@x>\n"
    (tree / "DEBIAN/control").write_text(f"{control}Description: x\n")
    for script in ("preinst", "postinst"):
        (tree / "DEBIAN" / script).write_text(f"#!/bin/sh\ntouch {folder}/executed\n")
        (tree / "DEBIAN" / script).chmod(0o755)
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(name)
    run(
        ["dpkg-deb", "--root-owner-group", "-b", tree, folder / f"{name}_1_ppc64el.deb"], timeout=30
    )


@pytest.fixture
def debs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror's packages, in the place of apt's, and an empty cache."""
    folder = tmp_path / "debs"
    folder.mkdir()
    for name in ("apt-get", "apt-cache"):
        (tmp_path / name).write_text(_APT)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DEBS", str(folder))
    monkeypatch.setenv("KDUMP_TEST_CACHE", str(tmp_path / "cache/of/tests"))
    return folder


def test_a_kernel_comes_into_an_empty_cache_and_nothing_is_executed(debs: Path) -> None:
    release = "10.1.0-powerpc64le"
    package(debs, "base-files", "usr/lib/os-release")
    package(debs, "linux", f"boot/vmlinux-{release}", f"lib/modules/{release}/modules.order")
    kernel = fetched(SOURCE)
    assert (kernel.release, kernel.root) == (release, cache() / "sid-ppc64el-test")
    assert kernel.architecture is PPC64LE
    assert (kernel.root / "usr/lib/os-release").read_text() == "base-files"
    said = (debs / "said").read_text()
    assert f" linux-image-{release} " in said, "the newest one, whatever its digits sort like"
    assert "APT::Architecture=ppc64el" in said
    assert not (debs / "executed").exists()
    (debs / "said").unlink()
    assert fetched(SOURCE) == kernel
    assert not (debs / "said").exists(), "what is in the cache is not fetched again"


def test_what_the_mirror_lacks_is_one_clear_error(debs: Path) -> None:
    why = r"^Debian sid for ppc64el: no-such-package: Unable to locate package no-such-package$"
    with pytest.raises(NoPackages, match=why):
        SUITE.packages("no-such-package")
    assert not (cache() / "sid-ppc64el-no-such-package").exists()
    with pytest.raises(NoPackages, match=r"^Debian sid for ppc64el has no package linux-none$"):
        fetched(Source(SUITE, "linux-none"))


def test_half_a_root_is_never_taken_for_one(debs: Path) -> None:
    (debs / "broken_1_ppc64el.deb").write_text("no archive")
    for _ in range(2):
        with pytest.raises(Exception, match=r"dpkg-deb"):
            SUITE.packages("broken")
    assert not (cache() / "sid-ppc64el-broken").exists()
