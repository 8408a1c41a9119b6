# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd check``: each thing that would lose a dump is found, and nothing else."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.commands import answers
from kdump_initrd.commands.admin import main
from kdump_initrd.core import exits
from kdump_initrd.core.run import run
from kdump_initrd.upkeep.ready import doctor, writing
from kdump_initrd.upkeep.ready.finding import (
    ERROR,
    FINE,
    NOTE,
    SEVERITIES,
    WARNING,
    Finding,
    verdict,
    worst_first,
)
from kdump_initrd.upkeep.ready.link import NO, UNKNOWN, YES
from tests.roots.oddities import KINDS, odd

from . import machines
from .brokenmachines import BROKEN
from .fakesysfs import NVME, FakeSysfs
from .kernelimages import signed
from .machines import DISK, DUMPS, MOUNTED, NUMBER
from .refreshroots import Host
from .thiskernel import RELEASE

PAGE = Path(__file__).parents[2] / "docs/man/kdump-initrd-json.5"


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine that is ready."""
    return machines.ready(tmp_path_factory.mktemp("check") / "root")


@pytest.fixture
def host(pattern: Path) -> Iterator[Host]:
    """A copy of it."""
    with machines.copied(pattern) as host:
        yield host


def of(host: Host, *severities: str) -> list[Finding]:
    found = doctor.examine(host.root, None)
    return [each for each in found if each.severity in severities]


def test_a_machine_that_is_ready(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((host.root / MOUNTED).rglob("*"))
    assert main(["check", "--root", str(host.root)]) == exits.DONE
    first, *rows = capsys.readouterr().out.splitlines()
    assert first == "nothing was found that would lose a dump: 2 notes"
    assert [each.name for each in of(host, NOTE)] == ["next boot", "test"]
    assert [row.split()[0] for row in rows[:3]] == [NOTE, NOTE, FINE]
    found = {each.name: each for each in of(host, FINE)}
    assert found["drivers"].text.endswith("virtio_blk, virtio_pci: the image has all of it")
    assert found["write"].text == f"a file was written to {host.root / DUMPS}, and removed"
    assert sorted((host.root / MOUNTED).rglob("*")) == before


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_link_is_the_one_error(host: Host, what: str) -> None:
    breaking, name, text, hint = BROKEN[what]
    breaking(host)
    (found,) = of(host, ERROR)
    assert found.name == name
    assert text in found.text
    assert hint in found.mend


def _unloaded(name: str, text: str | bytes) -> Callable[[Host], None]:
    def breaking(host: Host) -> None:
        machines.load(host, loaded=False)
        host.write(name, text)

    return breaking


def _moved(host: Host) -> None:
    """The disk is on NVMe now."""
    system = FakeSysfs(host.root / "sys")
    (host.root / f"sys/class/block/{DISK}").unlink()
    system.disk(f"{NVME}/nvme0n1")
    system.write(f"{NVME}/nvme0n1/{DISK}/partition", "1")
    system.write(f"{NVME}/nvme0n1/{DISK}/dev", NUMBER)
    system.link(f"class/block/{DISK}", f"{NVME}/nvme0n1/{DISK}")
    system.device(str(Path(NVME).parents[1]), "pci:v0000144Dd0000A808", "nvme")
    system.write("module/nvme/initstate", "live")


def _mapped(host: Host) -> None:
    """It has become an encrypted volume."""
    system = FakeSysfs(host.root / "sys")
    (host.root / f"sys/class/block/{DISK}").unlink()
    mapped = f"devices/virtual/block/{DISK}"
    system.write(f"{mapped}/dm/uuid", "CRYPT-PLAIN-abc")
    system.write(f"{mapped}/dev", NUMBER)
    system.link(f"class/block/{DISK}", mapped)


def _xen(host: Host) -> None:
    host.write("sys/hypervisor/type", "xen\n")
    host.write("proc/xen/capabilities", "control_d\n")
    machines.load(host, loaded=False)


#: Of the odd files, those of which something can be read.
PARSED = ("half", "damaged", "garbage", "one long line")
#: What the verbs read of /proc and /sys.
READ = (
    *("proc/cmdline", "proc/meminfo", "proc/iomem", "proc/zoneinfo", "proc/vmstat"),
    *("proc/self/mountinfo", "proc/sys/kernel/osrelease", "proc/sys/kernel/sysrq"),
    *("proc/sys/kernel/panic_on_oops", "proc/sys/kernel/kexec_load_disabled"),
    *("sys/kernel/kexec/crash_size", "sys/kernel/kexec/crash_loaded"),
    *("sys/kernel/kexec/crash_cma_ranges", "sys/kernel/security/lockdown"),
    *(
        "sys/module/kernel/parameters/crash_kexec_post_notifiers",
        f"{DUMPS}/202611010101/report.json",
    ),
)
LOCKED = "none [integrity] confidentiality\n"
LOST: dict[str, tuple[Callable[[Host], None], str, str, str]] = {
    "moved-disk": (_moved, "drivers", "hangs on nvme now", "mkinitrd-kdump --refresh"),
    "encrypted": (_mapped, "drivers", "an encrypted volume", "save to a partition"),
    "not-to-be-loaded": (
        _unloaded("proc/sys/kernel/kexec_load_disabled", "1\n"),
        *("loading", "kexec_load_disabled=1", "grep -rs kexec_load_disabled"),
    ),
    "loaded-too-often": (
        _unloaded("proc/sys/kernel/kexec_load_limit_panic", "0\n"),
        *("loading", "kexec_load_limit_panic=0", "grep -rs kexec_load_limit_panic"),
    ),
    "locked-and-unsigned": (
        _unloaded("sys/kernel/security/lockdown", LOCKED),
        *("lockdown", "is not signed", "sbverify --list"),
    ),
    "dom0": (_xen, "xen", "Xen's dom0", "does not support"),
}


@pytest.mark.parametrize("what", LOST)
def test_what_takes_longer_is_the_one_error(host: Host, what: str) -> None:
    breaking, name, text, mend = LOST[what]
    breaking(host)
    (found,) = of(host, ERROR)
    assert found.name == name
    assert text in found.text
    assert mend in found.mend
    assert main(["check", "--root", str(host.root)]) == exits.NO


@pytest.mark.parametrize(
    ("mount", "text", "mend"),
    [
        ("-o ro", "Read-only file system", "mount -o remount,rw"),
        ("-o size=40k", "room for 0 MiB", "make room on"),
    ],
)
def test_a_file_system_that_takes_no_file(host: Host, mount: str, text: str, mend: str) -> None:
    """A real one, which nobody else sees; the second one is full."""
    here = shlex.quote(str(host.root / MOUNTED))
    start = "import sys; from kdump_initrd.commands.start import admin; sys.exit(admin())"
    script = (
        f"mount -t tmpfs {mount} none {here}; cat /dev/zero >{here}/filler 2>/dev/null; "
        f'exec {shlex.quote(sys.executable)} -c "{start}" check --json --root {host.root}'
    )
    argv = ["unshare", "--mount", "sh", "-c", script]
    done = subprocess.run(
        argv, cwd=PAGE.parents[2], capture_output=True, text=True, timeout=60, check=False
    )
    found = json.loads(done.stdout)["findings"]
    (found,) = [each for each in found if each["severity"] == ERROR]
    assert text in found["text"]
    assert mend in found["mend"]
    assert done.returncode == exits.NO


@pytest.mark.parametrize(
    ("code", "severity", "mend"),
    [
        (errno.EIO, ERROR, f"dmesg | grep {DISK}"),
        (errno.EACCES, NOTE, ""),
    ],
)
def test_a_target_that_cannot_be_written_to(
    host: Host, code: int, severity: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise OSError(code, os.strerror(code), str(folder))

    monkeypatch.setattr(writing, "attempt", refuse)
    (found,) = [each for each in of(host, *SEVERITIES) if each.name == "write"]
    assert found.severity == severity
    assert mend in found.mend
    assert severity == ERROR or of(host, ERROR) == []


def test_nothing_is_mounted_to_try_it(host: Host) -> None:
    machines.mount(host, "")
    host.write(f"run/udev/data/b{NUMBER}", "S:disk\nE:ID_FS_TYPE=ext4\n")
    (found,) = [each for each in of(host, *SEVERITIES) if each.name == "write"]
    assert found.severity == NOTE
    assert "check mounts nothing" in found.text
    assert of(host, ERROR, UNKNOWN) == []


def test_a_file_without_a_name_is_not_known_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on vfat: it has a name then, for a moment."""
    opened: list[str] = []
    real = os.open

    def without(path: Any, flags: int, *rest: Any, **more: Any) -> int:  # noqa: ANN401
        opened.append(str(path))
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", without)
    writing.attempt(tmp_path)
    assert any(name.startswith(".kdump-initrd-") for name in opened)
    assert list(tmp_path.iterdir()) == []
    assert writing.speed(tmp_path, most=3 << 20, seconds=5) > 0


def test_a_file_in_the_place_of_the_folder_is_a_warning(host: Host) -> None:
    shutil.rmtree(host.root / DUMPS)
    host.write(DUMPS, "")
    (found,) = of(host, WARNING)
    assert (found.name, found.mend) == ("folder", f"rm {host.root / DUMPS}")


def test_what_the_machine_goes_on_after_is_one_note(host: Host) -> None:
    off = ("panic_on_oops", "softlockup_panic", "hardlockup_panic", "hung_task_panic")
    for name in (*off, "unknown_nmi_panic"):
        host.write(f"proc/sys/kernel/{name}", "0\n")
    host.write("proc/sys/kernel/sysrq", "438\n")  # Debian's
    (found,) = [each for each in of(host, NOTE) if each.name == "sysctls"]
    assert all(f"({name})" in found.text for name in (*off, "unknown_nmi_panic", "sysrq"))
    printf, _, _ = found.mend.partition(" >>")
    wanted = [f"kernel.{name}=1" for name in (*off, "unknown_nmi_panic")]
    done = run(["sh", "-c", printf], timeout=30)
    assert done.stdout.decode().splitlines() == [*wanted, "kernel.sysrq=446"]
    for name in (*off, "unknown_nmi_panic", "sysrq"):
        host.write(f"proc/sys/kernel/{name}", "1\n")
    assert [each for each in of(host, NOTE) if each.name == "sysctls"] == []


def test_what_is_no_error(host: Host) -> None:
    """Each is said, and a dump is saved all the same."""
    host.write("sys/module/kernel/parameters/crash_kexec_post_notifiers", "Y\n")
    host.write("usr/lib/systemd/system/kdump.service", "")
    host.write("proc/sys/kernel/kexec_load_disabled", "1\n")
    host.write("sys/kernel/security/lockdown", LOCKED)
    words = (host.root / "proc/cmdline").read_text()
    host.write("proc/cmdline", f"{words.strip()} rd.earlykdump\n")
    found = of(host, *SEVERITIES)
    assert [each for each in found if each.severity in (ERROR, UNKNOWN)] == []
    severities = {(each.name, each.severity) for each in found}
    assert {
        *(("notifiers", WARNING), ("other tools", WARNING), ("other tools", NOTE)),
        *(("loading", NOTE), ("lockdown", FINE)),
    } <= severities
    mends = [each.mend for each in found]
    assert "systemctl mask kdump.service" in mends
    assert any("--remove-args=rd.earlykdump" in mend for mend in mends)


def test_a_word_that_the_next_boot_lacks_is_a_warning(host: Host) -> None:
    for name in ("usr/sbin/update-grub", "etc/default/grub"):
        host.write(name, "")
    for words, severity in (("crashkernel=512M", FINE), ("quiet", WARNING)):
        host.write("boot/grub/grub.cfg", f"linux /vmlinuz {words}\n")
        (found,) = [each for each in of(host, *SEVERITIES) if each.name == "next boot"]
        assert found.severity == severity, found
    assert found.mend == "kdump-initrd reserve --set"


def test_a_signed_kernel_may_be_loaded(host: Host) -> None:
    machines.load(host, loaded=False)
    host.write("sys/kernel/security/lockdown", LOCKED)
    image = host.root / f"boot/vmlinuz-{RELEASE}"
    host.write(f"boot/vmlinuz-{RELEASE}", signed(image.read_bytes()))
    found = {each.name: each for each in of(host, *SEVERITIES)}
    assert found["lockdown"].severity == NOTE
    assert found["loaded"].severity == ERROR


def test_just_enough_memory_is_a_warning(host: Host) -> None:
    facts = next(each.facts for each in of(host, FINE) if each.name == "reservation")
    machines.reserve(host, int(facts["advised_mib"]) - 1)
    (found,) = of(host, WARNING)
    assert (found.name, found.mend) == ("reservation", "kdump-initrd reserve --set, and restart")


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_lies_in_proc_and_sys_is_no_traceback(
    host: Host, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All files that the verbs read, odd at once, and what parses to something each by itself."""
    (tmp_path / "file").write_text("not to be read")
    paths = [host.root / name for name in READ]
    for path in paths:
        if not path.exists():
            host.write(path.relative_to(host.root).as_posix(), "1\n")
    wrongs = [paths, *([path] for path in paths if kind in PARSED)]
    for wrong in wrongs:
        with ExitStack() as stack:
            for path in wrong:
                stack.enter_context(odd(path, kind, tmp_path))
            for verb in ("status", "check", "estimate") if wrong is paths else ("check",):
                status = main([verb, "--root", str(host.root)])
                said = capsys.readouterr()
                assert status in (exits.DONE, exits.ERROR, exits.NO), said
                assert "not to be read" not in said.out + said.err
                assert "Traceback" not in said.err


def test_json(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    _moved(host)
    assert main(["check", "--json", "--root", str(host.root)]) == exits.NO
    table: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (table["schema"], table["answer"]) == (answers.SCHEMA, NO)
    found = {each["name"]: each for each in table["findings"]}
    assert found["drivers"]["facts"] == {"missing": "nvme"}
    page = PAGE.read_text().replace("\\-", "-")
    named = {field for each in table["findings"] for field in (*each, *each["facts"])}
    assert {field for field in {*table, *named} if f"\n.B {field}\n" not in page} == set()


def test_the_verdict_is_as_bad_as_the_worst() -> None:
    each = [Finding(name, name, "") for name in SEVERITIES]
    assert verdict(each) == NO
    assert verdict(each[1:]) == UNKNOWN
    assert verdict(each[2:]) == YES
    assert worst_first(each[::-1]) == each
