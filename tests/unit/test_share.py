# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder of the hypervisor as the target: what an image has for it, and what it does not have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.image.archive.segments import read_manifest

from .captureimage import unpack
from .thiskernel import RELEASE

LIB, ETC = "usr/lib/kdump-initrd", "etc/kdump-initrd"
KINDS = {"9p": {"9p", "9pnet", "9pnet_virtio"}, "virtiofs": {"virtiofs", "fuse"}}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_reaches_it_by_its_tag(tmp_path: Path, kind: str) -> None:
    image = tmp_path / "kdump.img"
    assert main(["--target", f"{kind}:dumps", "--path", "/crash", "-o", str(image), RELEASE]) == 0
    tree = unpack(image, tmp_path / "tree")
    (target,) = json.loads((tree / ETC / "params.json").read_text())["targets"]
    assert (target["device"], target["fstype"], target["folder"]) == (
        f"{kind}:dumps",
        kind,
        "/crash",
    )
    manifest = read_manifest(image)
    assert manifest is not None
    assert (manifest.target, manifest.fstype) == (f"{kind}:dumps", kind)
    modules = set(manifest.modules)
    assert modules >= {*KINDS[kind], "virtio_pci"}
    assert not modules & {"virtio_blk", "sd_mod", "nvme", "ext4"}, "a disk is not needed"
    hooks = {path.name for path in (tree / LIB / "hooks").rglob("*-*")}
    assert hooks >= {"50-take-share", "50-mount", "50-umount"}
    assert "50-wait-device" not in hooks
