# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump in a folder of the hypervisor: QEMU itself writes it on the host."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from . import product, sidemachine
from .capture import check, with_report
from .scenario import Scenario, crash
from .tools import MissingTool, tool

pytestmark = [pytest.mark.qemu, pytest.mark.full, pytest.mark.timeout(900)]

VIRTIOFSD = (Path("/usr/lib/qemu/virtiofsd"), Path("/usr/libexec/virtiofsd"))


def test_a_folder_of_the_hypervisor_by_9p(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    words = f"local,path={crash_copy},mount_tag=dumps,security_model=none"
    image = product.build(scenario.image, scenario.kernel, "", "--target", "9p:dumps")
    scenario = replace(scenario, command_line=image.command_line, devices=("-virtfs", words))
    outcome = crash(scenario)
    (found,) = sidemachine.folders_in(crash_copy / "var/crash", below="/var/crash")
    check(with_report(found), outcome.token, scenario.kernel)


@contextmanager
def virtiofsd(socket: Path, folder: Path) -> Iterator[None]:
    """Let QEMU's daemon share a folder with the machine that takes the socket."""
    daemon = next((path for path in VIRTIOFSD if path.exists()), None)
    if daemon is None:
        raise MissingTool("virtiofsd: program not found (Debian package qemu-system-common)")
    argv: list[str | Path] = [
        tool("setpriv"),
        "--pdeathsig",
        "KILL",
        daemon,
        f"--socket-path={socket}",
        "-f",
    ]
    argv += ["-o", f"source={folder},sandbox=chroot"]
    with (
        socket.with_suffix(".log").open("wb") as log,
        subprocess.Popen(argv, stderr=log) as running,
    ):
        try:
            yield
        finally:
            running.kill()


def test_a_folder_of_the_hypervisor_by_virtiofs(
    scenario: Scenario, crash_copy: Path, tmp_path: Path
) -> None:
    options = ("--target", "virtiofs:dumps", "--path", "/")
    image = product.build(scenario.image, scenario.kernel, "", *options)
    socket = tmp_path / "socket"  # its path must be short
    words = (
        "-object", f"memory-backend-memfd,id=memory,size={scenario.memory_mib}M,share=on",
        "-machine", "memory-backend=memory",
        "-chardev", f"socket,id=virtiofs,path={socket}",
        "-device", "vhost-user-fs-pci,chardev=virtiofs,tag=dumps",
    )  # fmt: skip
    scenario = replace(scenario, command_line=image.command_line, devices=words)
    with virtiofsd(socket, crash_copy):
        while not socket.exists():
            time.sleep(0.1)
        outcome = crash(scenario)
    (found,) = sidemachine.folders_in(crash_copy, below="/")
    check(with_report(found), outcome.token, scenario.kernel)
