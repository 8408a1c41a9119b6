# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``kdump-initrd reserve`` answers: what to reserve and why, what there is, what was done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..upkeep.ready.link import NO, UNKNOWN, YES
from ..upkeep.reserving.nextboot import Outcome, State
from .answers import Answer

_HEADS = {YES: "yes", NO: "no", UNKNOWN: "cannot tell"}
_SET = "kdump-initrd reserve --set"


def advice(state: State) -> Answer:
    """Return what to reserve, its terms, and what there is now."""
    found = state.advice
    words = " ".join(found.words)
    first = f"reserve {found.mib} MiB: {words}"
    if found.origin:
        first = f"reserve by {words}, as {found.origin} says"
    rows = [(f"{term.mib} MiB", term.name, term.why) for term in found.terms]
    differs = any(has != [*found.words] for _, has in state.next_boot)
    return Answer(
        YES,
        first,
        rows=[*rows, *_now(state)],
        right=(0,),
        hints=[_SET] if differs else [],
        fields=_fields(state),
    )


def outcome(state: State, done: Outcome, *, asked: bool) -> Answer:
    """Return what has come of a change, or of a question if it was ``asked``."""
    hints = [f"run this in {state.root}: {command}" for command in done.commands]
    hints += [done.hint] if done.hint else []
    if done.changed and not done.commands:
        hints.append("restart: memory is reserved when the kernel starts")
    return Answer(
        done.answer,
        f"{_HEADS[done.answer]}: {done.text}" if asked else done.text,
        hints=hints,
        fields={**_fields(state), "run": [*done.commands]},
    )


def table(state: State) -> Answer:
    """Return the word for machines of any size."""
    return Answer(YES, state.advice.table, fields=_fields(state))


def _now(state: State) -> Iterator[tuple[str, str, str]]:
    yield "", "now", " ".join(state.running) or "nothing, on the running kernel's command line"
    if state.unread:
        yield "", "next boot", f"not known: {state.unread}"
    for file, words in state.next_boot:
        yield "", "next boot", f"{' '.join(words) or 'nothing'}, in {file}"
    for hand in state.hands:
        yield "", "by hand", f"{hand.word}, in {hand.place}"


def _fields(state: State) -> dict[str, Any]:
    found = state.advice
    return {
        "words": [*found.words],
        "mib": found.mib,
        "least_mib": found.least,
        "configured": found.origin,
        "terms": [vars(term) for term in found.terms],
        "table": found.table,
        "boot_loader": state.loader.name if state.loader else "",
        "next_boot": [{"file": file, "words": words} for file, words in state.next_boot],
        "by_hand": [vars(hand) for hand in state.hands],
        "running": [*state.running],
    }
