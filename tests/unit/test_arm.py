# SPDX-License-Identifier: GPL-2.0-or-later
"""The first kernel's hook, run: how it loads, what it says, and that it never does harm.

It runs at every boot of a machine in production.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kdump_initrd.core.root import Root
from kdump_initrd.recipes.firstkernel.loadedname import LOADED
from kdump_initrd.upkeep.loading import loadedfile
from kdump_initrd.upkeep.loading.loadedfile import Loaded

from .firstboot import BUILT_IN, KEXEC, LIMITS, Boot, Wanted, check, check_armed, render
from .shells import SHELLS

UNAVAILABLE = "syscall kexec_file_load not available.\n"
UNKNOWN_CALL = "kexec_file_load failed: Function not implemented\n"
#: What kexec 2.0.25 says behind its error: the segments that it wanted to load.
TABLE = "entry       = 0x1a730 flags = 0x3e0001\nnr_segments = 2\n" + "".join(
    f"segment[{n}].{field} = 0x1000\n" for n in (0, 1) for field in ("buf  ", "bufsz", "memsz")
)


@pytest.fixture(params=SHELLS, ids=" ".join)
def boot(request: pytest.FixtureRequest, tmp_path: Path) -> Boot:
    return Boot(tmp_path, request.param)


def test_armed_by_file_descriptor(boot: Boot) -> None:
    outcome = boot.run()
    check_armed(outcome)
    home = boot.home
    assert outcome.calls == [
        ["-p", "-s", f"{home}/kernel", f"--initrd={home}/initrd", f"--command-line={BUILT_IN}"]
    ]


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [
        ("1.00", "1.00", 0), ("0.85", "0.93", 80), ("0.00", "0.09", 90), ("9.99", "10.01", 20),
        ("0.08", "0.08", 0), ("123456789.01", "123456789.02", 10), ("0.00", "0.00", 0),
    ],
)  # fmt: skip
def test_the_time_that_it_took(boot: Boot, before: str, after: str, taken: int) -> None:
    """Milliseconds of the uptime's hundredths, which must not be read as octal."""
    boot.write("proc/uptime", f"{before} 1.00\n")
    boot.write("later", f"{after} 1.00\n")
    kexec = boot.home / "bin/kexec"
    kexec.write_text(KEXEC + "status=$?\ncat later >proc/uptime\nexit $status\n")
    check(boot.run(), f"<5>kdump-initrd: armed in {taken} ms")


def test_the_kernel_is_asked_and_not_kexec(boot: Boot) -> None:
    (boot.top / "loadss").unlink()
    boot.write("lies", "")
    outcome = boot.run()
    check(outcome, "<4>kdump-initrd: not armed: load refused: status 0")
    assert len(outcome.calls) == 2


def test_the_running_system_is_told_what_is_loaded(boot: Boot) -> None:
    boot.write("later", "2.50 1.00\n")
    kexec = boot.home / "bin/kexec"
    kexec.write_text(KEXEC + "status=$?\ncat later >proc/uptime\nexit $status\n")
    outcome = boot.run(append="a=$HOME b\\n")
    loaded = boot.top / LOADED
    assert loaded.stat().st_mode & 0o777 == 0o600
    assert loaded.read_text().splitlines() == [
        *("boot_id=a-boot", "uptime_ms=2500", "lacks="),
        *(f"cmdline={outcome.cmdline}", "by=first-kernel", "kernel=k", "image=i"),
    ]
    assert loadedfile.load(Root(boot.top)) == Loaded(
        boot_id="a-boot", uptime_ms="2500", by=loadedfile.HOOK, kernel="k", image="i",
        cmdline=outcome.cmdline,
    )  # fmt: skip
    boot.write("proc/sys/kernel/random/boot_id", "another-boot\n")
    assert loadedfile.load(Root(boot.top)) is None


def test_nothing_is_told_of_what_is_not_loaded(boot: Boot) -> None:
    (boot.top / "loadss").unlink()
    boot.run()
    assert not (boot.top / LOADED).exists()


@pytest.mark.parametrize("said", [UNAVAILABLE, UNKNOWN_CALL, "", "anything\n"])
def test_the_old_call_where_the_new_one_does_not_load(boot: Boot, said: str) -> None:
    (boot.top / "loadss").unlink()
    boot.write("sayss", said)
    boot.write("loadsc", "")
    outcome = boot.run()
    check_armed(outcome)
    assert [call[:2] for call in outcome.calls] == [["-p", "-s"], ["-p", "-c"]]
    assert outcome.calls[0][2:] == outcome.calls[1][2:]


SMALL = "the reservation of 128 MiB is too small: boot with crashkernel=128M"
REFUSALS = {
    "a full reservation": (
        "kexec_file_load failed: Cannot assign requested address\n",
        "kexec_load failed: Cannot assign requested address\n" + TABLE,
        f"{SMALL} (kexec_file_load failed: Cannot assign requested address)",
    ),
    "a full reservation, by the old call alone": (
        UNKNOWN_CALL,
        "kexec_load failed: Cannot assign requested address\n" + TABLE,
        f"{SMALL} (kexec_load failed: Cannot assign requested address)",
    ),
    "no hole, by the old call of a 32-bit kexec": (
        UNAVAILABLE,
        "Could not find a free area of memory of 0x1f000 bytes...\nlocate_hole failed\n",
        f"{SMALL} (Could not find a free area of memory of 0x1f000 bytes...; locate_hole failed)",
    ),
    "no memory": (
        "kexec_file_load failed: Cannot allocate memory\n", "",
        f"{SMALL} (kexec_file_load failed: Cannot allocate memory)",
    ),
    "lockdown": (
        "kexec_file_load failed: Operation not permitted\n",
        "kexec_load failed: Operation not permitted\n" + TABLE,
        "lockdown, or a policy like it: kexec_file_load failed: Operation not permitted",
    ),
    "a wrong signature": (
        "kexec_file_load failed: Key was rejected by service\n", "",
        "lockdown, or a policy like it: kexec_file_load failed: Key was rejected by service",
    ),
    "no signature": (
        "kexec_file_load failed: Required key not available\n", "",
        "lockdown, or a policy like it: kexec_file_load failed: Required key not available",
    ),
    "a signature that cannot be read": (
        "kexec_file_load failed: Bad message\n", "",
        "lockdown, or a policy like it: kexec_file_load failed: Bad message",
    ),
    "a kernel of another kind": (
        "kexec_file_load failed: Exec format error\n",
        "Cannot determine the file type of /kdump-initrd/kernel\n",
        "load refused: kexec_file_load failed: Exec format error",
    ),
    "the old call alone, and a kernel of another kind": (
        UNKNOWN_CALL,
        "Cannot determine the file type of /kdump-initrd/kernel\n",
        "load refused: Cannot determine the file type of /kdump-initrd/kernel",
    ),
    "a last line without an end": ("oh no", "", "load refused: oh no"),
    "no word": ("", "", "load refused: status 1"),
    "backslashes and a percent sign": ("a \\n b %s\n", "", "load refused: a \\n b %s"),
}  # fmt: skip


@pytest.mark.parametrize(("new", "old", "text"), REFUSALS.values(), ids=REFUSALS)
def test_a_load_that_is_refused_is_one_warning(boot: Boot, new: str, old: str, text: str) -> None:
    (boot.top / "loadss").unlink()
    boot.write("sayss", new)
    boot.write("saysc", old)
    outcome = boot.run()
    check(outcome, f"<4>kdump-initrd: not armed: {text}")
    assert len(outcome.calls) == 2


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ("0\n", "no crashkernel= reservation: boot with crashkernel=128M"),
        (f"{(1 << 20) - 1}\n", "no crashkernel= reservation: boot with crashkernel=128M"),
        (f"{(80 << 20) - 1}\n",
         "the reservation of 79 MiB is too small: boot with crashkernel=128M"),
        (None, "this kernel cannot load a capture kernel"),
        ("", "this kernel cannot load a capture kernel"),
        ("what?\n", "this kernel cannot load a capture kernel"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_not_tried(boot: Boot, size: str | None, text: str) -> None:
    if size is None:
        (boot.top / "sys/kernel/kexec_crash_size").unlink()
    else:
        boot.write("sys/kernel/kexec_crash_size", size)
    outcome = boot.run()
    check(outcome, f"<4>kdump-initrd: not armed: {text}")
    assert outcome.calls == []


def test_a_reservation_that_may_do_is_tried(boot: Boot) -> None:
    boot.write("sys/kernel/kexec_crash_size", f"{95 << 20}\n")
    outcome = boot.run()
    assert len(outcome.calls) == 1
    assert re.fullmatch(r"<5>kdump-initrd: armed in \d+ ms", outcome.log[0])
    assert outcome.log[1:] == [
        "<4>kdump-initrd: only 95 MiB are reserved: boot with crashkernel=128M"
    ]


def test_the_kernel_s_new_names_for_the_same(boot: Boot) -> None:
    """Those of Linux 6.19, without the links that are to go after 2028."""
    (boot.top / "sys/kernel/kexec").mkdir()
    for name in ("size", "loaded"):
        old = boot.top / f"sys/kernel/kexec_crash_{name}"
        old.rename(boot.top / f"sys/kernel/kexec/crash_{name}")
    check_armed(boot.run())


def test_a_large_reservation(boot: Boot) -> None:
    boot.write("sys/kernel/kexec_crash_size", f"{64 << 30}\n")
    check_armed(boot.run())


@pytest.mark.parametrize(
    ("ranges", "mib"),
    [
        # 32 MiB and 16 MiB; the last byte belongs to a range.
        ("0000000010000000-0000000011ffffff\n100000000-100ffffff\n", 112),
        ("", 64),
        ("what?\n-\n0-\n-0\n10-zz\n", 64),
    ],
)
def test_a_part_beside_the_fixed_one_counts(boot: Boot, ranges: str, mib: int) -> None:
    """crashkernel=64M crashkernel=48M,cma; nothing is loaded into the second part."""
    boot.write("sys/kernel/kexec_crash_size", f"{64 << 20}\n")
    (boot.top / "sys/kernel/kexec").mkdir()
    boot.write("sys/kernel/kexec/crash_cma_ranges", ranges)
    outcome = boot.run()
    if mib >= LIMITS.floor:
        check_armed(outcome)
    else:
        check(outcome, f"<4>kdump-initrd: not armed: {LIMITS.too_small(mib)}")


def test_a_fixed_part_that_is_too_small_beside_cma(boot: Boot) -> None:
    """What is loaded has to fit into that; so it was with 64 MiB and Linux 7.2."""
    boot.write("sys/kernel/kexec_crash_size", f"{64 << 20}\n")
    (boot.top / "sys/kernel/kexec").mkdir()
    boot.write("sys/kernel/kexec/crash_cma_ranges", "10000000-1bffffff\n")
    (boot.top / "loadss").unlink()
    said = "kexec_file_load failed: Cannot assign requested address"
    boot.write("sayss", f"{said}\n")
    text = f"{LIMITS.too_small('64 and, for CMA, 192')} ({said})"
    check(boot.run(), f"<4>kdump-initrd: not armed: {text}")


@pytest.mark.parametrize("word", ["kdump_initrd.noload", "kdump_initrd.noload=1"])
def test_switched_off(boot: Boot, word: str) -> None:
    boot.write("proc/cmdline", f"root=/dev/vda {word} quiet\n")
    outcome = boot.run()
    text = "not armed: kdump_initrd.noload is on the command line"
    check(outcome, f"<5>kdump-initrd: {text}")
    assert outcome.calls == []


@pytest.mark.parametrize(
    "line",
    ["kdump_initrd.noload=0", "xkdump_initrd.noload", 'a="b kdump_initrd.noload"',
     "-- kdump_initrd.noload"],
)  # fmt: skip
def test_not_switched_off(boot: Boot, line: str) -> None:
    boot.write("proc/cmdline", f"root=/dev/vda {line}\n")
    check_armed(boot.run())


@pytest.mark.parametrize(
    "missing",
    ["proc/cmdline", "proc/uptime", "kmsg", "kdump-initrd/bin/kexec", "kdump-initrd/kernel",
     "sys/kernel/kexec_crash_loaded", "proc", "sys", "kdump-initrd/bin", "kdump-initrd/facts",
     "proc/sys/kernel/random/boot_id"],
)  # fmt: skip
def test_whatever_is_missing_the_boot_goes_on(boot: Boot, missing: str) -> None:
    path = boot.top / missing
    if path.is_dir():
        path.rename(boot.top / "gone")
    else:
        path.unlink()
    outcome = boot.run()
    assert (outcome.status, outcome.left) == (0, False)
    armed = [line for line in outcome.log if "armed" in line]
    assert len(armed) == (1 if missing != "kmsg" else len(outcome.log))


def test_a_kexec_that_hangs_is_ended(boot: Boot) -> None:
    boot.write("hangs", "")
    outcome = boot.run(seconds="0.2")
    check(outcome, "<4>kdump-initrd: not armed: load refused: status 124")


def test_variables_of_the_environment_change_nothing(boot: Boot) -> None:
    """The kernel gives init what it does not know itself of its command line."""
    names = re.findall(r"\b([a-z_]+)=", render(Wanted()))
    env = dict.fromkeys((*names, "words", "_", "log", "leave"), "$(touch witness)")
    env |= {"IFS": "x/n", "POSIXLY_CORRECT": "1", "ENV": f"{boot.top}/env", "CDPATH": "/"}
    boot.write("env", "touch witness\n")
    outcome = boot.run(env=env)
    check_armed(outcome)
    assert outcome.cmdline == BUILT_IN
    assert not (boot.top / "witness").exists()


def test_a_long_refusal_is_cut_for_the_kernel(boot: Boot) -> None:
    (boot.top / "loadss").unlink()
    boot.write("sayss", "x" * 5000 + "\n")
    (line,) = boot.run().log
    assert 900 < len(line) < 950
