# SPDX-License-Identifier: GPL-2.0-or-later
"""--refresh sets crashkernel= where the configuration lets it, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core.root import Root
from tests.bootloaders import layouts

from . import refreshroots
from .refreshroots import CONFIGURATION, Host

DROP_IN = "etc/default/grub.d/zz-kdump-initrd.cfg"
_MENU = """\
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Debian' {{
	linux /boot/vmlinuz root=UUID=1 ro {words}
}}
### END /etc/grub.d/10_linux ###
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that Debian's GRUB boots."""
    made = Host(refreshroots.make(tmp_path / "root"))
    made.write("usr/sbin/update-grub", "")
    made.write("proc/meminfo", f"MemTotal: {8 << 20} kB\n")
    configure(made, automatic=True)
    boots_with(made, "quiet")
    return made


def configure(host: Host, *, automatic: bool) -> None:
    said = "true" if automatic else "false"
    host.write("etc/kdump-initrd.toml", f"{CONFIGURATION}[reserve]\nautomatic = {said}\n")


def boots_with(host: Host, words: str) -> None:
    host.write("etc/default/grub", f'GRUB_CMDLINE_LINUX_DEFAULT="{words}"\n')
    host.write("boot/grub/grub.cfg", _MENU.format(words=words))


def test_it_is_set_where_it_is_missing(host: Host) -> None:
    with refreshroots.hearing(host) as lines:
        assert host.run() == 0
    (said,) = [line for line in lines.take() if "crashkernel=" in line]
    # The root is another one: its boot loader's tool is not run from here.
    assert said.endswith("; now run: update-grub")
    assert " crashkernel=" in (host.root / DROP_IN).read_text()


def test_it_is_not_set_otherwise(host: Host) -> None:
    configure(host, automatic=False)
    assert host.run() == 0
    assert not (host.root / DROP_IN).exists()
    configure(host, automatic=True)
    assert host.run(dry_run=True) == 0
    assert not (host.root / DROP_IN).exists()
    boots_with(host, "quiet crashkernel=512M")
    assert host.run() == 0
    assert not (host.root / DROP_IN).exists()


def test_what_a_person_has_written_stays_and_no_image_is_lost(host: Host) -> None:
    boots_with(host, "crashkernel=16M")
    with refreshroots.hearing(host) as lines:
        assert host.run() == 0
    assert any(line.startswith("crashkernel= is not set: ") for line in lines.take())
    assert host.capture.exists()
    assert not (host.root / DROP_IN).exists()


def test_as_the_service_calls_it(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root is the running system, and its update-grub a stand-in; images are made before."""
    grub, machine = layouts.LAYOUTS["grub"], layouts.Host(tmp_path)
    grub.by_hand(host.root, "crashkernel=512M")
    assert host.run() == 0
    machine.add_tools()
    monkeypatch.setattr(Root, "is_host", property(lambda self: True))
    monkeypatch.setenv("PATH", f"{machine.programs}:{os.environ['PATH']}")
    refresh = ["--refresh", "--root", str(host.root)]
    drop_in, menu = host.root / DROP_IN, host.root / "boot/grub/grub.cfg"

    assert main(refresh) == 0  # a person's own word is enough
    assert (machine.calls(), drop_in.exists()) == ([], False)

    grub.make(host.root)
    assert main(refresh) == 0
    assert machine.calls() == [["update-grub"]]
    assert " crashkernel=" in menu.read_text()

    kept = (host.files(), drop_in.stat())
    assert main(refresh) == 0
    assert (machine.calls(), host.files(), drop_in.stat()) == ([], *kept)
