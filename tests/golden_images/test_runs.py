# SPDX-License-Identifier: GPL-2.0-or-later
"""Each profile's scripts run to their end under each shell: the same calls, in the right order."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from .fakemachine import SHELLS, Machine, Outcome
from .fakeroot import ROOT_UUID
from .golden import Golden
from .images import DUMP_UUID, Image
from .systems import STUCK, SYSTEMS, WITHOUT_SAVER, System

# The first test waits for all the roots.
pytestmark = pytest.mark.timeout(180)

#: How an initrd of each kind comes to our hook. Where it sources that, a failure would show.
STARTS = {
    "initramfs-tools": ". /scripts/init-top/ORDER",
    "dracut": "set -eu; for hook in /lib/dracut/hooks/pre-udev/*.sh; do . $hook; done",
    "dracut-var": "set -eu; for hook in /var/lib/dracut/hooks/pre-udev/*.sh; do . $hook; done",
    "mkinitcpio": """
        set -e
        . /config
        for hook in $EARLYHOOKS; do
            [ -x "/hooks/$hook" ] || continue
            . "/hooks/$hook"
            run_earlyhook
        done
    """,
    "mkinitcpio-systemd": "",  # the unit's ExecStart=
}
#: What a base's own hook prints behind ours.
GOES_ON = {"mkinitcpio": "udev\n"}
GO_ON = "exec /test/tools/switch_root /root /sbin/init"


def of(*, kind: str) -> list[str]:
    """Return the names of images of a kind."""
    return [f"{system.profile}/{kind}" for system in SYSTEMS if kind in system.kinds]


def check_order(calls: list[str], *wanted: str) -> None:
    """Check that these calls, or beginnings of calls, come in this order."""
    rest = iter(calls)
    for each in wanted:
        assert any(call.startswith(each) for call in rest), (each, calls)


def is_final(system: System, call: str) -> bool:
    """Tell whether a call is the one that restarts the machine."""
    if system.busybox:
        return call == "reboot -n -f"
    return call.startswith("python3 -S -s -B") and call.endswith(" TEXT machine reboot")


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, shells: Mapping[str, Path]) -> Path:
    return shells[request.param]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "machine"


@pytest.mark.parametrize("name", of(kind="capture"))
def test_capture(
    images: Mapping[str, Image], name: str, shell: Path, top: Path, golden: Golden
) -> None:
    image = images[name]
    done = Machine(top, image, shell).run("/init")
    golden.check(f"{name}/run", done.text())
    assert done.printed == ""
    load = "insmod" if image.system.busybox else "python3"
    check_order(
        done.calls,
        "mount -t proc", load, f"findfs {DUMP_UUID}",
        f"mount -t {image.system.fstype} -o rw /dev/vda1 /kdump", "python3", "umount /kdump",
        "sync",
    )  # fmt: skip
    assert [is_final(image.system, call) for call in done.calls].index(True) == len(done.calls) - 1
    assert done.status == -9
    assert done.log[-2:] == ["<5>kdump-initrd: saved /var/crash/200102031605",
                             "<5>kdump-initrd: final action: reboot"]  # fmt: skip
    log = done.read("kdump/var/crash/200102031605/kexec-dmesg.log")
    assert log == "the capture kernel's log\n"


@pytest.mark.parametrize("profile", WITHOUT_SAVER)
def test_capture_without_the_saver(
    images: Mapping[str, Image], profile: str, shell: Path, top: Path, golden: Golden
) -> None:
    """The raw copy lies where the distribution looks, by its name; where there are no tools for
    one, the machine restarts all the same."""
    image = images[f"{profile}/capture"]
    machine = Machine(top, image, shell)
    machine.write("test/saver", "70\n")
    memory = machine.top / "proc/vmcore"
    done = machine.run("/init")
    golden.check(f"{image.name}/run-without-saver", done.text())
    assert done.printed == ""
    folder = {"debian": "200102031605", "redhat": "127.0.0.1-2001-02-03-16:05:06",
              "opensuse-leap": "2001-02-03-16-05"}  # fmt: skip
    dump = {"debian": "dump.200102031605"}.get(profile, "vmcore")
    copies = [path for path in (top / "kdump").rglob("*") if path.name == dump]
    if image.system.busybox:
        (copy,) = copies
        assert copy.read_bytes() == memory.read_bytes()
        assert copy.parent == top / "kdump/var/crash" / folder[profile]
        assert (copy.parent / "kexec-dmesg.log").exists()
    else:
        assert copies == []
    check_order(done.calls, "mount -t", "python3", "umount /kdump")
    assert is_final(image.system, done.calls[-1])


@pytest.mark.parametrize("profile", STUCK)
def test_restart_that_does_not_come(
    images: Mapping[str, Image], profile: str, shell: Path, top: Path, golden: Golden
) -> None:
    """No capture kernel, and no end by the usual way: sysrq is the last one."""
    image = images[f"{profile}/capture"]
    machine = Machine(top, image, shell)
    machine.write("test/stuck", "")
    (machine.top / "proc/vmcore").unlink()
    done = machine.run("/init")
    golden.check(f"{image.name}/run-stuck", done.text())
    assert done.printed == ""
    assert is_final(image.system, done.calls[-2])
    assert done.calls[-1] == "sleep 3600"
    assert done.read("proc/sysrq-trigger") == "b\n"
    assert not [call for call in done.calls if call.startswith(("insmod", "findfs"))]


def check_armed(done: Outcome, image: Image) -> None:
    """Check that the capture kernel was loaded once, and that nothing of the payload is left."""
    words = "nvme.use_threaded_interrupts=1"
    line = image.manifest.cmdline.replace(" loglevel=7", f" {words} loglevel=7")
    assert [call for call in done.calls if call.startswith("kexec ")] == [
        f"kexec -p -s /kdump-initrd/kernel --initrd=/kdump-initrd/initrd --command-line={line}"
    ]
    assert done.log[0] == "<5>kdump-initrd: armed in 0 ms"
    assert not (done.top / "kdump-initrd").exists()
    assert (done.printed, done.status) == (GOES_ON.get(image.base, ""), 0)


@pytest.mark.parametrize("name", of(kind="first-kernel"))
def test_first_kernel(
    images: Mapping[str, Image], name: str, shell: Path, top: Path, golden: Golden
) -> None:
    """The base's own scripts come to the hook, which needs nothing of it, and then go on."""
    image = images[name]
    machine = Machine(top, image, shell)
    start = STARTS[image.base]
    if not start:
        unit = (top / "usr/lib/systemd/system/kdump-initrd.service").read_text().splitlines()
        (line,) = (line for line in unit if line.startswith("ExecStart="))
        start = shlex.join(shlex.split(line.removeprefix("ExecStart=").removeprefix("-")))
    done = machine.run("/usr/bin/sh", "-c", f"{start}\n{GO_ON}")
    golden.check(f"{name}/run", done.text())
    check_armed(done, image)
    assert done.calls[-1] == "switch_root /root /sbin/init"


@pytest.mark.parametrize("name", of(kind="whole"))
def test_whole(
    images: Mapping[str, Image], name: str, shell: Path, top: Path, golden: Golden
) -> None:
    image = images[name]
    done = Machine(top, image, shell).run("/init")
    golden.check(f"{name}/run", done.text())
    check_armed(done, image)
    fstype = image.system.fstype
    check_order(
        done.calls,
        "mount -t proc", "mount -t tmpfs", "kexec -p", "insmod", f"findfs {ROOT_UUID}",
        f"fsck.{fstype} -a /dev/vda1", f"mount -t {fstype} -o ro /dev/vda1 /sysroot",
        "mount -o move /dev", "switch_root /sysroot /sbin/init",
    )  # fmt: skip
    assert done.calls[-1] == "switch_root /sysroot /sbin/init"
