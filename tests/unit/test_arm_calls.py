# SPDX-License-Identifier: GPL-2.0-or-later
"""How the hook loads on each architecture, and what it does not take for armed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from kdump_initrd.probe.distro.architectures import facts
from kdump_initrd.recipes.firstkernel.kexeccall import loading_of

from .firstboot import BUILT_IN, Boot, check, check_armed
from .shells import SHELLS

#: What kexec and the kernel say of a call that is not there.
UNAVAILABLE = "kexec_file_load failed: Function not implemented\n"
#: As /proc/kallsyms of arm64 begins with CONFIG_KALLSYMS_ALL.
LISTED = """\
ffff800080000000 T _text
ffff800080010000 t bcm2835_handle_irq
ffff800080010000 T _stext
"""
#: And without.
UNLISTED = "ffff800080010000 t bcm2835_handle_irq\nffff800080010000 T _stext\n"
NO_DUMP = (
    "<4>kdump-initrd: not armed: kexec -c does not find this kernel in memory, and no tool could "
    "read the dump: boot a kernel with CONFIG_KALLSYMS_ALL or CONFIG_KEXEC_FILE"
)
RISCV = facts().named("riscv64").old_call


@pytest.fixture(params=SHELLS, ids=" ".join)
def boot(request: pytest.FixtureRequest, tmp_path: Path) -> Boot:
    return Boot(tmp_path, request.param)


def only_old(boot: Boot, kallsyms: str = LISTED) -> Boot:
    """Let the first kernel have the old call alone."""
    (boot.top / "loadss").unlink()
    boot.write("sayss", UNAVAILABLE)
    boot.write("loadsc", "")
    boot.write("proc/kallsyms", kallsyms)
    return boot


@pytest.mark.parametrize("each", facts().known.values(), ids=lambda each: str(each.name))
def test_each_call_is_tried_in_its_order(boot: Boot, each: object) -> None:
    machine = str(getattr(each, "name"))  # noqa: B009
    calls = facts().named(machine).kexec
    (boot.top / "loadss").unlink()
    boot.write("proc/kallsyms", LISTED)
    outcome = boot.run(machine=machine, kexec=RISCV.mark)
    check(outcome, "<4>kdump-initrd: not armed: load refused: status 1")
    rest = [f"{boot.home}/kernel", f"--initrd={boot.home}/initrd", f"--command-line={BUILT_IN}"]
    assert outcome.calls == [["-p", *call.split(), *rest] for call in calls]


def test_the_calls_that_there_are() -> None:
    """-s first where there is one; and -i where a checksum after the crash takes long."""
    calls = {name: each.kexec for name, each in facts().known.items()}
    assert calls.pop("i386") == ("-c",)
    assert calls.pop("s390x") == ("-s",)
    assert calls.pop("aarch64") == ("-s", "-c -i")
    assert {*calls.values()} == {("-s", "-c")}


def test_a_kernel_that_makes_the_headers_itself_needs_no_symbol(boot: Boot) -> None:
    boot.write("proc/kallsyms", UNLISTED)
    check_armed(boot.run(machine="aarch64"))


def test_the_old_call_finds_the_kernel_by_its_symbol(boot: Boot) -> None:
    outcome = only_old(boot).run(machine="aarch64")
    check_armed(outcome)
    assert [call[1:3] for call in outcome.calls] == [["-s", f"{boot.home}/kernel"], ["-c", "-i"]]


@pytest.mark.parametrize(
    "kallsyms",
    [
        "",
        UNLISTED,
        LISTED.replace("_text", "_text_of_another"),
        LISTED.replace("ffff800080000000", "0000000000000000"),  # kernel.kptr_restrict=2
        UNLISTED * 40 + LISTED,
        "garbage\n\n \n",
    ],
    ids=["empty", "not listed", "a longer name", "no address", "far behind", "garbage"],
)
def test_without_the_symbol_nothing_is_loaded(boot: Boot, kallsyms: str) -> None:
    outcome = only_old(boot, kallsyms).run(machine="aarch64")
    check(outcome, NO_DUMP)
    assert [call[1] for call in outcome.calls] == ["-s"]


def test_without_a_list_nothing_is_loaded(boot: Boot) -> None:
    only_old(boot)
    (boot.top / "proc/kallsyms").unlink()
    outcome = boot.run(machine="aarch64")
    assert outcome.log == [NO_DUMP]
    assert [call[1] for call in outcome.calls] == ["-s"]


@pytest.mark.parametrize(
    "said",
    [
        "Can't get the symbol of _text to calculate page_offset.\n",
        "Cannot get kernel _text symbol address\nCannot get kernel _text symbol address\n",
    ],
)
def test_what_kexec_could_not_find_is_unloaded(boot: Boot, said: str) -> None:
    boot = only_old(boot)
    boot.write("saysc", said)
    outcome = boot.run(machine="aarch64")
    check(outcome, NO_DUMP)
    assert outcome.calls[-1] == ["-p", "-u"]
    assert (boot.top / "sys/kernel/kexec_crash_loaded").read_text() == "0\n"


def test_other_words_of_kexec_change_nothing(boot: Boot) -> None:
    only_old(boot).write("saysc", "Warning: append= option is not passed. Using the first kernel\n")
    check_armed(boot.run(machine="aarch64"))


def test_lockdown_is_the_reason_that_counts(boot: Boot) -> None:
    only_old(boot, UNLISTED).write("sayss", "kexec_file_load failed: Operation not permitted\n")
    check(
        boot.run(machine="aarch64"),
        "<4>kdump-initrd: not armed: lockdown, or a policy like it: "
        "kexec_file_load failed: Operation not permitted",
    )


def test_a_dump_that_lacks_something_is_not_called_armed(boot: Boot) -> None:
    outcome = only_old(boot).run(machine="riscv64")
    (line,) = outcome.log
    assert re.fullmatch(
        rf"<4>kdump-initrd: loaded in \d+ ms, but the dump will lack {RISCV.lacks}: {RISCV.remedy}",
        line,
    )
    assert [call[1] for call in outcome.calls] == ["-s", "-c"]


def test_a_kexec_that_leaves_nothing_out(boot: Boot) -> None:
    check_armed(only_old(boot).run(machine="riscv64", kexec=b"x" + RISCV.mark + b"\0"))


def test_nothing_is_left_out_where_the_kernel_makes_the_headers(boot: Boot) -> None:
    check_armed(boot.run(machine="riscv64"))


KEXEC, FILE, SYMBOLS = "CONFIG_KEXEC", "CONFIG_KEXEC_FILE", "CONFIG_KALLSYMS_ALL"


@pytest.mark.parametrize(
    ("machine", "config", "warning"),
    [
        ("x86_64", {}, None),
        ("x86_64", {FILE: "y"}, None),
        ("x86_64", {KEXEC: "y"}, None),
        ("x86_64", {KEXEC: "n"},
         "built without CONFIG_KEXEC_FILE and CONFIG_KEXEC: it cannot load a capture kernel"),
        ("s390x", {KEXEC: "y"}, "built without CONFIG_KEXEC_FILE: it cannot load a capture kernel"),
        ("i386", {FILE: "y"}, "built without CONFIG_KEXEC: it cannot load a capture kernel"),
        ("aarch64", {}, None),
        ("aarch64", {FILE: "y", SYMBOLS: "n"}, None),
        ("aarch64", {KEXEC: "y", SYMBOLS: "y"}, None),
        ("aarch64", {KEXEC: "y"},
         "built without CONFIG_KEXEC_FILE and CONFIG_KALLSYMS_ALL: it will not load the capture "
         "kernel, because no tool could read the dump"),
        ("riscv64", {FILE: "y"}, None),
        ("riscv64", {KEXEC: "y"},
         f"built without CONFIG_KEXEC_FILE: its dumps will lack {RISCV.lacks}; {RISCV.remedy}"),
    ],
)  # fmt: skip
def test_what_is_said_when_the_image_is_built(
    caplog: pytest.LogCaptureFixture, machine: str, config: Mapping[str, str], warning: str | None
) -> None:
    loading_of(machine, b"kexec").warn("6.1-x", config)
    assert caplog.messages == ([f"6.1-x: {warning}"] if warning else [])
