# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel releases of a root."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.kernel import releases

from .debianlayout import LAYOUT


def make_kernel(root: Path, release: str, config: str | None) -> None:
    """Put an empty kernel into a root."""
    (root / "lib/modules" / release).mkdir(parents=True)
    (root / "boot").mkdir(exist_ok=True)
    (root / f"boot/vmlinuz-{release}").touch()
    if config is not None:
        (root / f"boot/config-{release}").write_text(config)


def test_found_with_its_options(tmp_path: Path) -> None:
    make_kernel(tmp_path, "6.1", 'CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D="x"\n')
    found = releases.find("6.1", root=Root(tmp_path), layout=LAYOUT)
    assert found.config == {"CONFIG_A": "y", "CONFIG_B": "m", "CONFIG_C": "n", "CONFIG_D": "x"}
    assert found.image == tmp_path / "boot/vmlinuz-6.1"
    assert found.builds_in("CONFIG_A")
    assert not found.builds_in("CONFIG_B")


def test_unknown_release_lists_those_present(tmp_path: Path) -> None:
    make_kernel(tmp_path, "6.10.1", None)
    make_kernel(tmp_path, "6.9.2", None)
    with pytest.raises(KdumpInitrdError, match=r"7\.0: no such kernel") as caught:
        releases.find("7.0", root=Root(tmp_path), layout=LAYOUT)
    assert caught.value.hint == "present: 6.9.2, 6.10.1"


def test_image_without_modules_is_said(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1").touch()
    with pytest.raises(KdumpInitrdError, match=r"6.1: no modules directory for .*vmlinuz-6.1"):
        releases.find("6.1", root=Root(tmp_path), layout=LAYOUT)


@pytest.mark.parametrize("option", ["CONFIG_CRASH_DUMP", "CONFIG_PROC_VMCORE"])
def test_kernel_that_cannot_capture_is_refused(tmp_path: Path, option: str) -> None:
    config = "CONFIG_CRASH_DUMP=y\nCONFIG_PROC_VMCORE=y\n".replace(
        f"{option}=y", f"# {option} is not set"
    )
    make_kernel(tmp_path, "6.1", config)
    found = releases.find("6.1", root=Root(tmp_path), layout=LAYOUT)
    with pytest.raises(KdumpInitrdError, match=f"6.1: built without {option}"):
        releases.check_capture_options(found)


def test_unknown_options_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_kernel(tmp_path, "6.1", None)
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        releases.check_capture_options(releases.find("6.1", root=Root(tmp_path), layout=LAYOUT))
    assert "6.1: no configuration found" in caplog.text


def test_odd_names_are_left_out_with_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("6.1", "6.1²", "6.1²3", "6.1\nx", "6.1\udcff", "٣"):
        (tmp_path / "lib/modules" / name).mkdir(parents=True)
    found = releases.releases(root=Root(tmp_path), layout=LAYOUT)
    assert sorted(found) == sorted(["6.1", "6.1²", "6.1²3", "٣"])
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "'6.1\\nx': not a kernel release: skipped",
        "'6.1\\udcff': not a kernel release: skipped",
    ]


def test_a_folder_of_the_host_is_no_kernel(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make_kernel(root, "6.1", None)
    make_kernel(tmp_path, "6.2", None)
    (root / "lib/modules/6.2").symlink_to(tmp_path / "lib/modules/6.2")
    (root / "lib/modules/6.3").symlink_to("/lib/modules/6.1")
    assert releases.releases(root=Root(root), layout=LAYOUT) == ["6.1", "6.3"]


def test_what_is_no_folder_has_no_modules(tmp_path: Path) -> None:
    make_kernel(tmp_path, "6.1", None)
    (tmp_path / "lib/modules/6.1").rmdir()
    (tmp_path / "lib/modules/6.1").touch()
    with pytest.raises(KdumpInitrdError, match=r"6.1: no modules directory for .*vmlinuz-6.1"):
        releases.find("6.1", root=Root(tmp_path), layout=LAYOUT)
