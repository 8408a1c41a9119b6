# SPDX-License-Identifier: GPL-2.0-or-later
"""Is crashkernel= on the command line of the next boot, and does it reserve enough?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...bootloaders import crashwords
from ...bootloaders.commandlines import Boot
from ...bootloaders.loader import Loader
from ...config import effective
from ...config.effective import Effective
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...probe.distro.profiles import Distro
from ...recipes.found import find_host
from ..ready import readiness
from ..ready.link import NO, UNKNOWN, YES
from ..ready.readiness import Running
from . import advice, bootloader, note
from .advice import Advice
from .note import Note


@dataclass(frozen=True)
class Hand:
    """A word that a person has written, or another program, and where: "FILE:LINE" or a file."""

    word: str
    place: str


@dataclass(frozen=True)
class State:
    """What there is on a host, and what there should be.

    ``boots`` are the command lines that the next boot may have, and ``unread`` is why they are not
    known, "" if they are. ``hands`` are words that are not ours, ``running`` those of the running
    kernel, and ``memory`` the bytes by which ranges are judged.
    """

    root: Root
    advice: Advice
    loader: Loader | None
    boots: tuple[Boot, ...]
    unread: str
    hands: tuple[Hand, ...]
    note: Note
    running: tuple[str, ...]
    memory: int

    @property
    def words(self) -> list[str]:
        """The words of the next boot, of all its command lines, each once."""
        found = (word for boot in self.boots for word in crashwords.words_of(boot.cmdline))
        return list(dict.fromkeys(found))

    @property
    def next_boot(self) -> list[tuple[str, list[str]]]:
        """The words of the next boot, by the file and, where they differ, by the entry in it."""
        found = [(str(boot.place), crashwords.words_of(boot.cmdline)) for boot in self.boots]
        return [each for number, each in enumerate(found) if each not in found[:number]]


@dataclass(frozen=True)
class Outcome:
    """What has come of it: an answer in a line, and commands that are left to be run.

    ``changed``: the next boot will be another one.
    """

    answer: str
    text: str
    commands: tuple[str, ...] = ()
    hint: str = ""
    changed: bool = False


def wanted(text: str) -> tuple[str, ...] | None:
    """Return the words that a person asks for, None for none; raises UsageError."""
    return crashwords.parse(text) if text else None


def look(top: Path, distro: str | None) -> State:
    """Return the state of a host; raises KdumpInitrdError."""
    root, profile = find_host(top, distro)
    configured = effective.read(root, peer=profile.config.peer)
    return state_of(root, profile, configured, readiness.running(root))


def state_of(root: Root, profile: Distro, configured: Effective, machine: Running | None) -> State:
    """Return the state of a host of which that is known; raises KdumpInitrdError."""
    found = bootloader.of(root, profile)
    noted = note.load(root)
    boots: tuple[Boot, ...] = ()
    hands: tuple[Hand, ...] = ()
    unread = "no boot loader that is known here was found"
    if found is not None:
        try:
            boots = tuple(found.boots())
            unread = "" if boots else f"no entry of {found.name} was found"
            hands = tuple(_hands(found, boots, noted))
        except OSError as error:
            unread = f"{error.filename}: {error.strerror}"
        except KdumpInitrdError as error:
            unread = error.message
    return State(
        root=root,
        advice=advice.advise(root, profile, configured),
        loader=found,
        boots=boots,
        unread=unread,
        hands=hands,
        note=noted,
        running=tuple(readiness.words(machine)) if machine else (),
        memory=advice.memory(root),
    )


def check(state: State) -> Outcome:
    """Tell whether the next boot reserves memory, and enough for the image."""
    if state.unread:
        return Outcome(UNKNOWN, state.unread)
    bare = [boot for boot in state.boots if not crashwords.words_of(boot.cmdline)]
    hint = "kdump-initrd reserve --set"
    if bare:
        return Outcome(NO, f"{bare[0].place} has no {crashwords.NAME}", hint=hint)
    short = _too_little(state)
    if short:
        return Outcome(NO, short, hint=hint)
    demands = (crashwords.demand([word], memory=state.memory) for word in state.words)
    for word, asked in zip(state.words, demands):
        if asked and asked.fixed is None:
            return Outcome(UNKNOWN, f"what {word} reserves is not known: {places(state)}")
    return Outcome(YES, f"{' '.join(state.words)} is in {places(state)}")


def _too_little(state: State) -> str:
    for boot in state.boots:
        words = crashwords.words_of(boot.cmdline)
        asked = crashwords.demand(words, memory=state.memory) if state.memory else None
        if asked and asked.fixed is not None and asked.mib < max(state.advice.least, 1):
            least = f", and the image needs {state.advice.least}" if state.advice.least else ""
            return f"{' '.join(words)} in {boot.place} reserves {asked.mib} MiB here{least}"
    return ""


def _hands(found: Loader, boots: Sequence[Boot], note: Note) -> list[Hand]:
    """Return the words that are not ours, those in files that people write first."""
    ours = {*note.words, *found.own_words()}
    hands = [Hand(each.word, str(each)) for each in found.found() if each.word not in ours]
    known = {*ours, *(hand.word for hand in hands)}
    for boot in boots:
        for word in crashwords.words_of(boot.cmdline):
            if word not in known:
                known.add(word)
                hands.append(Hand(word, str(boot.place)))
    return hands


def places(state: State) -> str:
    """Return the files of the next boot in a few words."""
    first, *more = dict.fromkeys(str(boot.place) for boot in state.boots)
    return f"{first}{f' and {len(more)} more' if more else ''}"
