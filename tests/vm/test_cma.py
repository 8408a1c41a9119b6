# SPDX-License-Identifier: GPL-2.0-or-later
"""A reservation of which the greater part is CMA (crashkernel=SIZE,cma, Linux 6.17)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kdump_initrd.bootloaders import crashwords

from . import capture, loop, product, readers, rootfs, smallest, sources
from .disks import Disk
from .kernels import Kernel, fetched
from .loop import Loop

pytestmark = [pytest.mark.qemu, pytest.mark.full, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Host:
    """A machine of that kernel, and the run that it is to go through."""

    kernel: Kernel
    disk: Disk
    loop: Loop


@pytest.fixture
def host(name: str, folder: Path) -> Host:
    """A small system whose initrd is ours."""
    kernel = fetched(sources.FORKY)
    disk = smallest.disk(folder / "root.raw", kernel)
    image, first = folder / "capture.img", folder / "first.img"
    device = f"UUID={rootfs.UUID}"
    product.build(image, kernel, device, *product.VIRTIO)
    words = ["--standalone", "--root-device", device, "-f", "ext4", *product.VIRTIO]
    product.build_first(first, image, kernel, *words)
    (cma,) = crashwords.parse("192M,cma")
    return Host(kernel, disk, Loop(name, kernel, first, (disk.path,), more=cma))


def test_a_small_fixed_part_arms_and_captures(host: Host, crash_copy: Path) -> None:
    """By itself it would be too small for this image."""
    outcome = loop.go(replace(host.loop, phases=loop.ONCE, crashkernel_mib=96))
    saved = capture.saved_on(host.disk, crash_copy)
    dump = saved.folder.file("dump.").copy
    machine = host.kernel.architecture.name
    readers.prove_by_address(
        dump, token=outcome.token, release=host.kernel.release, machine=machine
    )


def test_one_that_does_not_hold_the_kernel_is_refused(host: Host) -> None:
    """What kexec loads has to fit into the fixed part: the kernel alone takes 64 MiB."""
    run = replace(host.loop, test="login", phases=loop.LOGIN, crashkernel_mib=64)
    outcome = loop.go(run)
    assert loop.said(outcome, "unarmed") == [""]
    assert "not armed: the reservation of 64 and, for CMA, 192 MiB is too small: " in (
        outcome.run.console
    )
