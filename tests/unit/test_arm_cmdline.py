# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture kernel's command line as the hook makes it, of words that are anybody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.errors import KdumpInitrdError

from .firstboot import BUILT_IN, SHELLS, Boot, check_armed

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
    "quotes around the whole": ('"console=tty0 x" loglevel=3', "loglevel=3"),
    "empty quotes": ('foo="" console=tty0 pci=""', 'console=tty0 pci=""'),
    "quotes that are not closed": ('loglevel=3 foo="a console=tty0 -- b', "loglevel=3"),
    "init's words": ("console=tty0 -- console=ttyS1 loglevel=7", "console=tty0"),
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
            KdumpInitrdError, match=r"cmdline.inherit: '\*' is no name of a parameter"
        ):
            boot.run(inherit=names)
    else:
        assert boot.run(inherit=names).cmdline == f"{BUILT_IN} {taken[names[0]]}"
