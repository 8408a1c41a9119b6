# SPDX-License-Identifier: GPL-2.0-or-later
"""Saves described machines, and compares what is in the dump with the oracle."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdump_initrd.saver.crash.facts import Crash
from kdump_initrd.saver.filter.walk import PageFilter
from kdump_initrd.saver.memory.reader import Memory
from kdump_initrd.saver.memory.vmcoreinfo import VmcoreInfo

from . import oracle
from .description import parse
from .layout import Layout
from .minireader import MiniReader
from .running import save
from .synthetic import build


@dataclass(frozen=True)
class Saved:
    """A described machine, its dump, the report on the dump, and what the console said."""

    layout: Layout
    dump: MiniReader
    report: dict[str, Any]
    console: list[str]

    @property
    def left_out(self) -> set[int]:
        """The page frames that are not in the dump."""
        return set(self.dump.first) - set(self.dump.second)

    @property
    def warnings(self) -> list[str]:
        return [line for line in self.console if line.startswith("<4>")]

    def wanted(self, level: int) -> set[int]:
        """Return what the oracle leaves out, by the VMCOREINFO that the machine has."""
        return expected(self.layout, level)


def expected(layout: Layout, level: int) -> set[int]:
    """Return the page frames of a described machine that the oracle leaves out."""
    rules = oracle.Rules(layout.info, layout.dialect, layout.page)
    return oracle.excluded(rules, layout.ram, level)


def filtered(tmp_path: Path, text: str | Layout, level: int, **options: object) -> Saved:
    """Save a described machine at a level; the saver must say that all is well."""
    layout = parse(text) if isinstance(text, str) else text
    vmcore = build(layout, tmp_path / "vmcore.in")
    console = tmp_path / "console"
    console.unlink(missing_ok=True)
    codec = options.pop("dump_compress", "lzo")
    options = {"jobs": 1, **options}  # fork takes time in a large process
    done = save(tmp_path, vmcore, dump_level=level, dump_compress=codec, console=console, **options)
    said = console.read_text().splitlines()
    assert done.status == 0, said
    saved = Saved(layout, MiniReader(done.dump, layout.port.machine), done.report["dump"], said)
    assert saved.dump.first == layout.ram
    shutil.rmtree(done.folder)
    return saved


class Kept:
    """Stands for a Selection: the page frames that a filter hands over."""

    def __init__(self) -> None:
        self.frames: set[int] = set()

    def add_run(self, pfn: int, count: int) -> None:
        self.frames.update(range(pfn, pfn + count))

    def add_bits(self, pfn: int, count: int, bits: int, kept: int) -> None:
        found = [pfn + bit for bit in range(count) if bits >> bit & 1]
        assert len(found) == kept
        self.frames.update(found)


@dataclass(frozen=True)
class Judged:
    """What a filter alone says of a vmcore: no dump is made."""

    level: int
    note: str
    left_out: set[int]


def judge(memory: Memory, info: Mapping[str, str], level: int) -> Judged:
    """Filter an opened vmcore by a VMCOREINFO, whatever its own says."""
    text = "\n".join(f"{key}={value}" for key, value in info.items())
    memory.notes.vmcoreinfo = text.encode("latin-1")
    source, kept = Crash(memory).source(), Kept()
    chosen = PageFilter(memory, VmcoreInfo(memory.notes.vmcoreinfo), source, level=level)
    runs = list(source.runs())
    chosen.run(runs, kept, lambda _: None)  # type: ignore[arg-type]
    there = {at for pfn, count in runs for at in range(pfn, pfn + count)}
    return Judged(chosen.level, chosen.note, there - kept.frames)


def check(tmp_path: Path, text: str | Layout, level: int, **options: object) -> Saved:
    """Save a described machine, and demand of the dump what the oracle says."""
    saved = filtered(tmp_path, text, level, **options)
    wanted = saved.wanted(level)
    differ = sorted(saved.left_out ^ wanted)
    told = [
        f"{pfn:#x} is {'kept' if pfn in wanted else 'left out'}: {saved.layout.page(pfn)}"
        for pfn in differ[:5]
    ]
    assert not differ, f"{len(differ)} pages: " + "; ".join(told)
    report = saved.report
    assert (report["level"], report["wanted_level"], report["level_note"]) == (level, level, "")
    assert saved.dump.level == level
    assert sum(report["left_out"].values()) == len(wanted)
    contents(saved)
    return saved


def contents(saved: Saved) -> None:
    """Demand that the dump's pages are those of their page frames, where they are whole."""
    memory, page = saved.layout.memory, saved.layout.port.page
    inside = [range(-(-start // page), end // page) for start, end in memory]
    kept = sorted(saved.layout.texts.keys() & set(saved.dump.second))
    kept = [pfn for pfn in kept if any(pfn in pages for pages in inside)]
    for pfn in kept[:: max(1, len(kept) // 20)]:
        assert saved.dump.page(pfn).startswith(b"page frame %#x, " % pfn)
        assert len(saved.dump.page(pfn)) == page
