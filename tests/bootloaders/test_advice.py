# SPDX-License-Identifier: GPL-2.0-or-later
"""How much to reserve: what the image takes, and each thing of a machine that adds to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdump_initrd.bootloaders import crashwords
from kdump_initrd.config import effective
from kdump_initrd.config.settings import CommonSettings
from kdump_initrd.core.root import Root
from kdump_initrd.image import reservation
from kdump_initrd.probe.distro.architectures import facts
from kdump_initrd.probe.distro.profiles import Distro
from kdump_initrd.probe.kernel import releases
from kdump_initrd.recipes.found import find_root
from kdump_initrd.upkeep.ready import readiness
from kdump_initrd.upkeep.reserving import advice
from kdump_initrd.upkeep.reserving.advice import Advice
from tests.unit import machines, refreshroots
from tests.unit.refreshroots import Host
from tests.unit.thiskernel import RELEASE

GIB = 1 << 30
RECORD = f"var/lib/kdump-initrd/capture-{RELEASE}.json"


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine with an image of its kernel, and 1 GiB."""
    root = refreshroots.make(tmp_path_factory.mktemp("advice") / "root")
    host = Host(root)
    assert host.run() == 0
    machines.start(host)
    host.write("sys/devices/system/cpu/possible", "0-127\n")
    return root


@pytest.fixture
def host(pattern: Path) -> Host:
    """The same, with the files that a test changes as they were."""
    made = Host(pattern)
    for name, text in (
        ("proc/iomem", "00001000-3fffffff : System RAM\n  01000000-01ffffff : Kernel code\n"),
        ("proc/cmdline", "root=/dev/sda1 quiet\n"),
        ("dev/kmsg", ""),
    ):
        made.write(name, text)
    (pattern / "etc/kdump-initrd.toml").write_text(refreshroots.CONFIGURATION)
    return made


def look(host: Host) -> Advice:
    root = Root(host.root)
    profile = profile_of(root)
    return advice.advise(root, profile, effective.read(root, peer=profile.config.peer))


def profile_of(root: Root) -> Distro:
    return find_root(CommonSettings(root=str(root.path), dry_run=True), target=None)[1]


def terms(host: Host) -> dict[str, int]:
    return {term.name: term.mib for term in look(host).terms}


def test_it_is_what_the_image_was_said_to_need(host: Host) -> None:
    """By the very formula whose result is printed when an image is built."""
    found = look(host)
    root = Root(host.root)
    profile = profile_of(root)
    kernel = releases.find(RELEASE, root=root, layout=profile.kernel)
    least, usual = readiness.needed(host.capture, kernel)
    assert (found.least, found.mib, found.origin) == (least, usual, "")
    assert found.words == (f"crashkernel={usual}M",)
    assert [*terms(host)] == ["kernel", "image", "headroom"]
    assert all(term.mib > 0 and term.why for term in found.terms)
    assert sum(term.mib for term in found.terms) == usual


def test_without_an_image_it_is_what_is_usual(host: Host) -> None:
    kept = host.root / "kept"
    (host.root / RECORD).rename(kept)
    try:
        found = look(host)
    finally:
        kept.rename(host.root / RECORD)
    assert (found.least, found.mib) == (0, reservation.USUAL)


def test_a_large_machine(host: Host) -> None:
    ((start, more),) = facts().named("x86_64").reservation.grows
    assert "machine" not in terms(host)
    host.write("proc/iomem", f"00000000-{start - 1:08x} : System RAM\n")
    assert terms(host)["machine"] == more >> 20
    host.write("proc/iomem", f"00000000-{start - 2:08x} : System RAM\n")
    assert "machine" not in terms(host)


def test_memory_that_only_root_is_told(host: Host) -> None:
    host.write("proc/iomem", "00000000-00000000 : System RAM\n")
    assert advice.memory(Root(host.root)) == GIB
    (host.root / "proc/iomem").unlink()
    assert advice.memory(Root(host.root)) == GIB


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("proc/cmdline", "root=/dev/sda1 mem_encrypt=on\n"),
        ("dev/kmsg", "6,1,2,-;Memory Encryption Features active: AMD SME\n"),
        ("dev/kmsg", "6,1,2,-;Memory Encryption Features active: AMD SEV SEV-ES\n"),
    ],
)
def test_memory_that_is_encrypted(host: Host, name: str, text: str) -> None:
    assert "encryption" not in terms(host)
    host.write(name, text)
    before = look(host)
    assert terms(host)["encryption"] == 64
    assert before.mib == sum(term.mib for term in before.terms)


def test_an_adapter_in_the_image(host: Host) -> None:
    path = host.root / RECORD
    text = path.read_text()
    table = json.loads(text)
    table["entries"]["lib/modules/x/kernel/drivers/net/mlx5_core.ko"] = "0644 x"
    host.write(RECORD, json.dumps(table))
    try:
        assert terms(host)["mlx5_core"] == 150
    finally:
        host.write(RECORD, text)


@pytest.mark.parametrize(
    ("words", "more"),
    [(("nr_cpus=1",), 0), (("maxcpus=1",), 127), ((), 127), (("nr_cpus=1", "nr_cpus=5"), 4)],
)
def test_processors_that_have_memory_of_their_own(
    host: Host, words: tuple[str, ...], more: int
) -> None:
    """nr_cpus= limits how many those are, maxcpus= does not."""
    assert advice._processors(Root(host.root), words) - 1 == more


def test_the_table_is_of_the_same_terms(host: Host) -> None:
    found = look(host)
    ((start, more),) = facts().named("x86_64").reservation.grows
    for memory, mib in (
        (GIB, found.mib),
        (start - 1, found.mib),
        (start, found.mib + (more >> 20)),
    ):
        asked = crashwords.demand([found.table], memory=memory)
        assert asked is not None
        assert asked.mib == mib
    assert crashwords.demand([found.table], memory=GIB >> 2) == crashwords.Demand(0)


@pytest.mark.parametrize("machine", facts().known)
def test_what_large_machines_add_grows(machine: str) -> None:
    grows = facts().named(machine).reservation.grows
    assert [*grows] == sorted(grows)
    assert advice._table(100, grows).startswith("crashkernel=512M-")


def test_what_is_configured_needs_no_terms(host: Host) -> None:
    host.write("etc/kdump-initrd.toml", '[reserve]\ncrashkernel = "300M,high"\n')
    found = look(host)
    assert (found.words, found.terms) == (("crashkernel=300M,high",), ())
    assert found.origin.endswith("etc/kdump-initrd.toml:2")
