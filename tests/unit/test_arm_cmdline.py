# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture kernel's command line as the hook makes it, of words that are anybody's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.probe.host import xen

from . import firstboot
from .firstboot import BUILT_IN, LONGEST, Boot, Wanted, check, check_armed, render
from .shells import SHELLS

#: The running kernel's command line, and what is taken over of it.
INHERITED = {
    "none": ("", ""),
    "what the root needs is not": (
        "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet splash crashkernel=128M panic=5 init=/bin/x",
        "",
    ),
    "all of them, in their order": (
        "quiet console=ttyS0,115200 root=/dev/sda earlycon=uart8250,io,0x3f8 console=tty0",
        "console=ttyS0,115200 earlycon=uart8250,io,0x3f8 console=tty0",
    ),
    "consoles of other architectures": (
        "console=ttyAMA0,115200 x=1 console=hvc0 console=ttysclp0 conmode=sclp condev=001f "
        "hvc_iucv=8 earlycon=sbi",
        "console=ttyAMA0,115200 console=hvc0 console=ttysclp0 conmode=sclp condev=001f "
        "hvc_iucv=8 earlycon=sbi",
    ),
    "twice": ("console=tty0 console=tty0", "console=tty0 console=tty0"),
    "without a value": ("ignore_loglevel nolapic console", "ignore_loglevel nolapic console"),
    "whole names": ("consoleblank=0 xconsole=1 console.x=1 loglevelx loglevel=7", "loglevel=7"),
    "names by their beginning": (
        "libata.force=1.5G nvme_core.io_timeout=4 nvme_corex=1 nvmex.a=1 acpi_rsdp=0x1 acpix=1",
        "libata.force=1.5G nvme_core.io_timeout=4 acpi_rsdp=0x1",
    ),
    "a dot is a dot": ("libataXforce=1 moduleXsig_enforce=1", ""),
    "equals signs in the value": ("pci=a=b=c,d=e", "pci=a=b=c,d=e"),
    "blanks and tabs between": ("  console=tty0\t\tloglevel=7   ", "console=tty0 loglevel=7"),
    "quoted, with a name that is not taken": (
        'foo="a console=ttyS1 b" console=tty0 dyndbg="file x.c +p; console=x"', "console=tty0"
    ),
    "quoted, with a name that is taken": (
        'acpi_osi="Windows 2015" console=tty0', 'acpi_osi="Windows 2015" console=tty0'
    ),
    "quotes that begin in the value": ('pci=a"b c"d loglevel=3', 'pci=a"b c"d loglevel=3'),
    "quotes around the whole": (
        '"console=ttyS0,115200" "acpi_osi=a b" "foo=x" "nolapic"',
        '"console=ttyS0,115200" "acpi_osi=a b" "nolapic"',
    ),
    "blanks in quotes are kept": ('acpi_osi="a  \t b"', 'acpi_osi="a  \t b"'),
    "empty quotes": ('foo="" console=tty0 pci=""', 'console=tty0 pci=""'),
    "quotes that are not closed": ('loglevel=3 foo="a console=tty0 -- b', "loglevel=3"),
    "quotes that end with the line": ('loglevel=3 pci="a -- b', 'loglevel=3 pci="a -- b"'),
    "dashes for underlines": (
        "acpi-osi=x nvme-core.io_timeout=9 usb_storage.quirks=a:b:u module.sig-enforce",
        "acpi-osi=x nvme-core.io_timeout=9 usb_storage.quirks=a:b:u module.sig-enforce",
    ),
    "what brings a machine up": (
        "reboot=pci intremap=off 8250.nr_uarts=8 8250_core.nr_uarts=4 nointremap clocksource=hpet",
        "reboot=pci intremap=off 8250.nr_uarts=8 8250_core.nr_uarts=4 nointremap clocksource=hpet",
    ),
    "drivers of the sets, built in or not": (
        "virtio_blk.num_request_queues=1 xen-blkfront.max_queues=1 3w_9xxx.x=1 mpt3sas.msix=0",
        "virtio_blk.num_request_queues=1 xen-blkfront.max_queues=1 3w_9xxx.x=1 mpt3sas.msix=0",
    ),
    "what costs memory or the way": (
        "hugepages=9 cma=1G crashkernel=1G root=/dev/sda systemd.unit=x init=/x rd.break mem=1G",
        "",
    ),
    "init's words": ("console=tty0 -- console=ttyS1 loglevel=7", "console=tty0"),
    "init's words, quoted": ('console=tty0 "--" console=ttyS1', "console=tty0"),
    "lines": ("console=tty0\nloglevel=7", "console=tty0 loglevel=7"),
    "two dashes in quotes": ('foo="a -- b" console=tty0', "console=tty0"),
    "two dashes with more": ("--console=x console=tty0 ---", "console=tty0"),
}  # fmt: skip
#: Words that a shell would do something with; none has a blank.
EVIL = (
    "console=$(touch${IFS}witness)", "console=`touch${IFS}witness`", "pci=;touch${IFS}witness;",
    "console=|touch", "pci=>witness", "pci=<x", "pci=&", "acpi=*", "acpi=?", "acpi=[a-z]*",
    "acpi=~", "efi=$HOME", "efi=${x:=1}", "efi=$$", "loglevel=$((1+1))", "hpet='", "hpet='x'",
    "iommu=\\", "iommu=\\n", "tsc=%s%n", "lockdown=!x", "dtb=#x", "dtb={a,b}", "cio_ignore=)",
    "libata.a=*/../*", "console=é", "acpi_osi=\x01",
)  # fmt: skip


@pytest.fixture(params=SHELLS, ids=" ".join)
def boot(request: pytest.FixtureRequest, tmp_path: Path) -> Boot:
    boot = Boot(tmp_path, request.param)
    for name in ("a", "acpi=a", "witless", "pci=x"):  # what a pattern would find
        boot.write(name, "")
    return boot


@pytest.mark.parametrize(("running", "taken"), INHERITED.values(), ids=INHERITED)
def test_what_is_taken_over(boot: Boot, running: str, taken: str) -> None:
    boot.write("proc/cmdline", f"{running}\n")
    outcome = boot.run()
    check_armed(outcome)
    assert outcome.cmdline == f"{BUILT_IN} {taken}".rstrip()


def test_built_in_then_taken_over_then_appended(boot: Boot) -> None:
    boot.write("proc/cmdline", "panic=3 loglevel=4 root=/dev/vda console=tty0\n")
    outcome = boot.run(append="loglevel=7 x=1")
    check_armed(outcome)
    assert outcome.cmdline == f"{BUILT_IN} loglevel=4 console=tty0 loglevel=7 x=1"


def test_no_final_line_break(boot: Boot) -> None:
    boot.write("proc/cmdline", "ro console=tty0")
    assert boot.run().cmdline == f"{BUILT_IN} console=tty0"


def test_the_shell_sees_none_of_the_running_kernels_words(boot: Boot) -> None:
    words = [word for word in EVIL if '"' not in word]
    boot.write("proc/cmdline", " ".join(words) + "\n")
    outcome = boot.run(env={"HOME": "/root", "x": "expanded"})
    check_armed(outcome)
    assert outcome.cmdline == " ".join([BUILT_IN, *words])
    assert not (boot.top / "witness").exists()


def test_the_shell_sees_none_of_the_built_in_words(boot: Boot) -> None:
    """They are of an image and of the user's: --append-cmdline."""
    words = (*EVIL, "$(touch witness)", "`touch witness`", "'; touch witness", '"; touch witness #',
             "\\", "a ' b \" c", "$line", "${now}")  # fmt: skip
    outcome = boot.run(line=" ".join(words), append=" ".join(reversed(words)))
    check_armed(outcome)
    assert outcome.cmdline == " ".join((*words, *reversed(words)))
    assert not (boot.top / "witness").exists()


def test_a_distribution_that_takes_nothing_over(boot: Boot) -> None:
    """A list without a name must not make a case without a pattern."""
    boot.write("proc/cmdline", "console=tty0 kdump_initrd.noloadx\n")
    outcome = boot.run(inherit=())
    check_armed(outcome)
    assert outcome.cmdline == BUILT_IN


@pytest.mark.parametrize("names", [("*",), ("x*",), ("a-b",), ("x", "y*", "x")])
def test_names_of_a_distribution(boot: Boot, names: tuple[str, ...]) -> None:
    boot.write("proc/cmdline", "xyz=1 a-b=2 x=3 yy=4\n")
    taken = {"x*": "xyz=1 x=3", "a-b": "a-b=2", "x": "x=3 yy=4"}
    if names == ("*",):
        with pytest.raises(
            KdumpInitrdError, match=r"cmdline.inherit: '\*' is not a parameter name"
        ):
            boot.run(inherit=names)
    else:
        assert boot.run(inherit=names).cmdline == f"{BUILT_IN} {taken[names[0]]}"


def test_parameters_of_the_modules_of_the_image(boot: Boot) -> None:
    boot.write("proc/cmdline", "my-disk.x=1 my_disk.y other.z=2 my_diskx.a my_disk dm_mod.b=1\n")
    outcome = boot.run(modules=("my_disk", "dm-mod", "$(touch witness)"))
    check_armed(outcome)
    assert outcome.cmdline == f"{BUILT_IN} my-disk.x=1 my_disk.y dm_mod.b=1"
    assert not (boot.top / "witness").exists()


WORDS = [f"console=ttyS{n},115200n8" for n in range(20)]
PARAMETERS = [f"nvme_core.parameter{n}={'x' * 80}" for n in range(20)]


@pytest.mark.parametrize("append", ["", "loglevel=7 é=é"])
def test_words_without_room_are_left_out_and_named(boot: Boot, append: str) -> None:
    """Parameters of modules first, the last ones first; what is built in and appended stays."""
    boot.write("proc/cmdline", " ".join([*PARAMETERS, *WORDS]) + "\n")
    outcome = boot.run(append=append, env={"LC_ALL": "C.UTF-8"})
    assert (outcome.status, outcome.printed, outcome.left) == (0, "", False)
    room = LONGEST - 64
    assert room - len(PARAMETERS[0]) <= len(outcome.cmdline.encode()) <= room
    words = outcome.cmdline.removeprefix(BUILT_IN).removesuffix(append).split()
    count = len(words) - len(WORDS)
    assert 0 < count < len(PARAMETERS)
    assert words == [*WORDS, *PARAMETERS[:count]]
    why = "<4>kdump-initrd: left out, the capture kernel's command line would be too long:"
    assert re.fullmatch(r"<5>kdump-initrd: armed in \d+ ms", outcome.log.pop())
    named = " ".join(line.removeprefix(why).strip() for line in outcome.log)
    assert named.split() == PARAMETERS[count:]
    assert all(line.startswith(why) and len(line) < 900 for line in outcome.log)


def test_exactly_as_many_as_fit(boot: Boot) -> None:
    word = "console=" + "x" * (LONGEST - 64 - len(f"{BUILT_IN} console="))
    boot.write("proc/cmdline", f"{word}\n")
    outcome = boot.run()
    check_armed(outcome)
    assert outcome.cmdline == f"{BUILT_IN} {word}"
    assert len(outcome.cmdline) == LONGEST - 64


def test_one_word_is_too_long_and_a_later_one_is_not(tmp_path: Path) -> None:
    boot = Boot(tmp_path, SHELLS[0])
    boot.write("proc/cmdline", f"pci={'x' * 2000} console=tty0\n")
    outcome = boot.run()
    assert outcome.cmdline == f"{BUILT_IN} console=tty0"
    assert len(outcome.log) == 2
    assert outcome.log[0].startswith("<4>kdump-initrd: left out, ")


@pytest.mark.parametrize("append", ["", "x=" + "é" * 1000])
def test_own_words_that_the_capture_kernel_does_not_take(append: str) -> None:
    line = BUILT_IN if append else BUILT_IN * 200
    needed = len(f"{line} {append}".encode()) if append else len(line)
    with pytest.raises(KdumpInitrdError) as caught:
        render(Wanted(line, append))
    assert caught.value.message == (
        f"the capture kernel's command line would have {needed} bytes, and "
        f"{Path(firstboot.__file__)} takes 1983"
    )
    option = "in --append-cmdline" if append else "in [cmdline] of the distribution's profile"
    assert caught.value.hint == f"use fewer words {option}"


def test_words_that_are_not_wanted_of_the_running_kernel(boot: Boot) -> None:
    boot.write("proc/cmdline", "console=tty0 loglevel=3 libata.force=x acpi-osi=y acpi=off\n")
    outcome = boot.run(remove="loglevel libata.* acpi_osi hugepages")
    check_armed(outcome)
    assert outcome.cmdline == f"{BUILT_IN} console=tty0 acpi=off"


def test_words_in_place_of_the_running_kernels(boot: Boot) -> None:
    boot.write("proc/cmdline", "console=tty0 loglevel=3 kdump_initrd.noloadx\n")
    outcome = boot.run(instead="console=hvc0 pci=x", append="a=1")
    check_armed(outcome)
    assert outcome.cmdline == f"{BUILT_IN} console=hvc0 pci=x a=1"


#: Parts of lines: names that are taken over and others, what quotes do, and what fills the room.
PARTS = st.sampled_from(
    ['console', 'acpi-osi', 'libata.x', 'nvme-core.y', 'x', '=', '"', ' ', '\t', '--', '\n', 'é',
     'loglevel=7', ' pci=', 'a' * 90, ' libata.a=', ' "', '" ', '*', '$HOME']
)  # fmt: skip


@settings(max_examples=60)
@given(parts=st.lists(PARTS, max_size=24), longest=st.sampled_from([150, 255, LONGEST]))
def test_the_running_system_makes_the_same_of_any_line(
    tmp_path: Path, parts: list[str], longest: int
) -> None:
    """Outcome.cmdline compares the two, here and wherever it is looked at."""
    top = tmp_path / str(len([*tmp_path.iterdir()]))
    boot = Boot(top, SHELLS[0])
    boot.write("proc/cmdline", f"{''.join(parts)}\n")
    outcome = boot.run(longest=longest, remove="acpi_osi nvme_core.*")
    assert outcome.cmdline.startswith(BUILT_IN)


DOM0 = {
    "by xenfs": {"proc/xen/capabilities": "control_d\n", "sys/hypervisor/type": "xen\n"},
    "by its features": {"sys/hypervisor/type": "xen\n",
                        "sys/hypervisor/properties/features": "00000a70\n"},
    "by both": {"proc/xen/capabilities": "control_d\n", "sys/hypervisor/type": "xen\n",
                "sys/hypervisor/properties/features": "00002f7f\n"},
}  # fmt: skip
DOMU = {
    "paravirtual": {"proc/xen/capabilities": "\n", "sys/hypervisor/type": "xen\n",
                    "sys/hypervisor/properties/features": "00000670\n"},
    "with nothing but its type": {"sys/hypervisor/type": "xen\n"},
    "with odd features": {"sys/hypervisor/type": "xen\n",
                          "sys/hypervisor/properties/features": "x[$(touch witness)]\n"},
    "something else": {"sys/hypervisor/type": "z/VM Hypervisor\n",
                       "sys/hypervisor/properties/features": "ffffffff\n"},
}  # fmt: skip


def write_all(top: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)


@pytest.mark.parametrize("files", DOM0.values(), ids=DOM0)
def test_a_dom0_is_refused(boot: Boot, files: Mapping[str, str]) -> None:
    write_all(boot.top, files)
    boot.write("proc/cmdline", "console=hvc0 crashkernel=128M\n")
    outcome = boot.run()
    check(outcome, f"<4>kdump-initrd: not armed: {xen.DOM0}")
    assert outcome.calls == []
    with pytest.raises(KdumpInitrdError) as caught:
        xen.check(boot.top)
    assert caught.value.message == xen.DOM0
    assert "crashkernel= belongs on Xen's own command line" in xen.DOM0


@pytest.mark.parametrize("files", DOMU.values(), ids=DOMU)
def test_a_guest_of_xen_is_armed(boot: Boot, files: Mapping[str, str]) -> None:
    write_all(boot.top, files)
    boot.write("proc/cmdline", "console=hvc0\n")
    outcome = boot.run()
    check_armed(outcome)
    assert outcome.cmdline == f"{BUILT_IN} console=hvc0"
    assert not (boot.top / "witness").exists()
    xen.check(boot.top)
