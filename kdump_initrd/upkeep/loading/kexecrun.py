# SPDX-License-Identifier: GPL-2.0-or-later
"""kexec is run, and what it says is judged, by the rules of the first kernel's hook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.root import Root
from ...core.run import run
from ...recipes.firstkernel import objections
from ...recipes.firstkernel.kexeccall import Loading
from ..ready import readiness

#: Seconds that one call may take; the kernel checks signatures and moves some megabytes.
_PATIENCE = 60
#: Of /proc/kallsyms only the beginning counts: kexec looks there, too.
_FIRST_SYMBOLS = 64


@dataclass(frozen=True)
class KexecProgram:
    """The program, on what it is run, and how: ``loading`` has its calls."""

    program: Path
    root: Root
    loading: Loading


@dataclass(frozen=True)
class Result:
    """What came of it: ``call`` are the options that have loaded, "" for none.

    ``why`` is the reason that kexec gave, ``no_dump`` that it would load headers that no tool can
    read; ``lacks`` is what the dump will lack.
    """

    call: str = ""
    why: str = ""
    no_dump: bool = False
    lacks: str = ""


def load(kexec: KexecProgram, kernel: int, initrd: int, cmdline: str) -> Result:
    """Load the files that are open as descriptors, in place of what is loaded.

    That may stay loaded if kexec is refused: its exit status counts, too. Raises KdumpInitrdError
    where the program does not end.
    """
    old = kexec.loading.old
    why = ""
    for call in kexec.loading.calls:
        is_old = call.startswith("-c")
        if is_old and old.symbol and not _is_listed(old.symbol, kexec.root):
            return Result(why=why, no_dump=True)
        status, said = _run(kexec, call.split(), kernel, initrd, cmdline)
        if status == 0 and readiness.is_loaded(kexec.root):
            if (
                is_old
                and old.symbol
                and any(text in said for text in objections.mistaken(old.symbol))
            ):
                unload(kexec.program)
                return Result(why=why, no_dump=True)
            lacks = f"{old.lacks}: {old.remedy}" if is_old and old.lacks else ""
            return Result(call=call, lacks=lacks)
        if objections.is_unavailable(why):
            why = said
    return Result(why=why)


def unload(program: Path) -> None:
    """Unload whatever is loaded; raises KdumpInitrdError where kexec cannot."""
    run([program, "-p", "-u"], timeout=_PATIENCE)


def _run(
    kexec: KexecProgram, call: Sequence[str], kernel: int, initrd: int, cmdline: str
) -> tuple[int, str]:
    argv: list[str | Path] = [kexec.program, "-p", *call, f"/proc/self/fd/{kernel}"]
    argv += [f"--initrd=/proc/self/fd/{initrd}", f"--command-line={cmdline}"]
    done = run(argv, timeout=_PATIENCE, check=False, descriptors=(kernel, initrd))
    output = done.stdout.decode(errors="replace") + done.stderr
    return done.status, objections.reason(output, done.status)


def _is_listed(symbol: str, root: Root) -> bool:
    # Without rights, all addresses are zero.
    path = root.file("proc/kallsyms")
    if path is None:
        return False
    with path.open("rb") as lines:
        for _, line in zip(range(_FIRST_SYMBOLS), lines):
            address, _, name = (*line.split(), b"", b"", b"")[:3]
            if name == symbol.encode() and address.strip(b"0"):
                return True
    return False
