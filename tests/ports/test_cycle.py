# SPDX-License-Identifier: GPL-2.0-or-later
"""Each port arms itself, crashes, saves its memory and restarts, and other programs read that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm import capture, loop, product, readers, rivals, rootfs, smallest
from tests.vm.kernels import Kernel
from tests.vm.loop import Loop

from .record import Proof, Record, load_of
from .table import PORTS, Port

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(1200)]
ROWS = [pytest.param(port, marks=[] if PORTS[port].usual else [pytest.mark.full]) for port in PORTS]


@pytest.mark.parametrize("port", ROWS)
def test_the_whole_cycle(name: str, port: str, folder: Path, crash_copy: Path) -> None:
    wanted, kernel = PORTS[port], PORTS[port].kernel()
    machine = kernel.architecture
    disk = smallest.disk(folder / "root.raw", kernel)
    image, first = folder / "capture.img", folder / "first.img"
    device = f"UUID={rootfs.UUID}"
    product.build(image, kernel, device, *product.VIRTIO, "--dump-format", wanted.dump_format)
    words = ["--standalone", "--root-device", device, "-f", "ext4", *product.VIRTIO]
    if machine.both or machine.capture:
        words += ["--append-cmdline", " ".join([*machine.both, *machine.capture])]
    product.build_first(first, image, kernel, *words)
    outcome = loop.go(
        Loop(
            name,
            kernel,
            first,
            (disk.path,),
            phases=loop.ONCE,
            crashkernel_mib=machine.reservation_mib,
            more=f"kdump_processor={machine.crasher}",
        )
    )
    saved = capture.saved_on(disk, crash_copy)
    capture.check_files(saved, kernel, dump_format=wanted.dump_format)
    assert saved.report["dump"]["level"] == wanted.level, saved.report["dump"]["level_note"]
    dump, dmesg = (saved.folder.file(name).copy for name in ("dump.", "dmesg."))
    assert f"{outcome.token} loaded" in dmesg.read_text(errors="replace")
    Record(
        port,
        machine.name,
        kernel.release,
        wanted.page,
        Proof.CYCLE,
        load_of(kernel),
        wanted.level,
        read_back(wanted, kernel, dump, outcome.token),
    ).write()


def read_back(port: Port, kernel: Kernel, dump: Path, token: str) -> str:
    """Prove that a dump is of the run with ``token``, and return who says so."""
    if port.drgn:
        machine = kernel.architecture.name
        return readers.prove_by_address(dump, token=token, release=kernel.release, machine=machine)
    assert port.rival is not None
    words = rivals.makedumpfile_of(port.rival)
    return readers.prove_by_makedumpfile(dump, words, token=token)
