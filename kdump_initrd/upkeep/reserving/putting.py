# SPDX-License-Identifier: GPL-2.0-or-later
"""Putting crashkernel= onto the command line of the next boot, and taking it out.

What is put there is noted before it is done, with what it replaces; so a run that was interrupted
is finished by the next one, and only that is taken out again. Words that a person has written stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...bootloaders import crashwords, editing, loader
from ...bootloaders.loader import Loader
from ...core.errors import KdumpInitrdError
from ..ready.link import YES
from . import note as notes
from .nextboot import Hand, Outcome, State, check, places
from .note import Note

_BY_HAND = "put it on the kernel's command line in the boot loader's configuration"
_TAKE_OUT = "take it out of the boot loader's configuration"


def put(state: State, wanted: Sequence[str] | None, *, force: bool) -> Outcome:
    """Put words on the command line of the next boot, those that are advised for None.

    Words of a person stay, unless ``force``: they do if they reserve enough and nothing else was
    asked for; otherwise that is an error, as is a boot loader that is not known, a file that cannot
    be written, and one that does not have the words in the end. Raises KdumpInitrdError.
    """
    words = tuple(wanted or state.advice.words)
    tool = _known(state, words)
    if not state.unread and not loader.lacking(state.boots, words) and _is_noted(state, words):
        return Outcome(YES, f"{' '.join(words)} is there already, in {places(state)}")
    if state.hands and not force:
        if wanted is None and not state.advice.origin and check(state).answer == YES:
            hand = state.hands[0]
            return Outcome(YES, f"{hand.word} is there already, written by hand: {hand.place}")
        if not loader.lacking(state.boots, words) and not state.unread:
            return Outcome(YES, f"{' '.join(words)} is there already: {state.hands[0].place}")
        raise _by_hand(state.hands, "--force puts this in its place, until reserve --unset")
    hands = tuple(dict.fromkeys(hand.word for hand in state.hands)) if force else ()
    before = tuple(dict.fromkeys([*state.note.before, *hands]))
    # A file of ours is written anew, and its words are the last, so they count.
    old = list(dict.fromkeys([*state.note.words, *hands])) if tool.own is None else []
    tool.edits(old, words)  # what cannot be written is not noted
    created = state.note.created or _created(tool, old, words)
    # Until it is done, both sizes are ours.
    both = tuple(dict.fromkeys([*state.note.words, *words]))
    notes.save(Note(both, before, created), state.root)
    left = tool.change(old, words)
    if not left:
        _prove(tool, words, f"{tool.name} still boots without {' '.join(words)}")
    notes.save(Note(words, before, created), state.root)
    return Outcome(YES, f"{' '.join(words)} is set, by {tool.name}", tuple(left), changed=True)


def take(state: State, *, force: bool) -> Outcome:
    """Take out what was put there, with ``force`` all words; what they replaced is put back.

    Raises KdumpInitrdError.
    """
    note, tool = state.note, state.loader
    hands = [hand.word for hand in state.hands] if force else []
    own = tool.own if tool else None
    if tool is None or not (note.words or hands or (own and own.exists())):
        rest = f"; {state.hands[0].place} has {state.hands[0].word}" if state.hands else ""
        hint = "--force takes it out, too" if rest else ""
        return Outcome(YES, f"nothing is there of kdump-initrd{rest}", hint=hint)
    words = hands if own else list(dict.fromkeys([*note.words, *hands]))
    put_back = [] if own or force else [word for word in note.before if word not in words]
    left = tool.change(words, put_back)
    made = tool.place(tool.facts.file)
    if note.created and tool.read(made) == note.created:
        made.unlink()
    if not left:
        _check_gone(tool, words)
        notes.forget(state.root)
    back = f", and {' '.join(put_back)} is back" if put_back else ""
    what = " ".join([*words, *([str(own)] if own else [])])
    return Outcome(YES, f"{what} is taken out{back}", tuple(left), changed=True)


def _known(state: State, words: Sequence[str]) -> Loader:
    if state.loader is None:
        raise KdumpInitrdError(
            f"{state.root}: no boot loader that is known here was found",
            hint=f"{' '.join(words)}: {_BY_HAND}",
        )
    return state.loader


def _is_noted(state: State, words: Sequence[str]) -> bool:
    """Tell whether words are ours, and where entries are made from."""
    tool = state.loader
    if tool is None or tool.own is not None:
        return tool is not None and tool.own_words() == [*words]
    text = tool.read(tool.place(tool.facts.file)) if tool.facts.file else " ".join(words)
    return state.note.words == tuple(words) and all(word in text for word in words)


def _prove(tool: Loader, words: Sequence[str], what: str) -> None:
    """Read back what the boot loader reads; raises KdumpInitrdError where that is not right."""
    try:
        boots = tool.boots()
    except OSError as error:
        raise KdumpInitrdError(f"{error.filename}: {error.strerror}") from error
    lacking = loader.lacking(boots, words)
    if not lacking and boots:
        return
    place = lacking[0].place if lacking else ", ".join(tool.facts.reads)
    has = crashwords.words_of(lacking[0].cmdline) if lacking else []
    says = f"{place} has {' '.join(has) or f'no {crashwords.NAME}'}"
    raise KdumpInitrdError(f"{says}: {what}", hint=_BY_HAND)


def _check_gone(tool: Loader, words: Sequence[str]) -> None:
    for boot in tool.boots():
        stays = [word for word in crashwords.words_of(boot.cmdline) if word in words]
        if stays:
            raise KdumpInitrdError(f"{boot.place} still has {stays[0]}", hint=_TAKE_OUT)


def _by_hand(hands: Sequence[Hand], hint: str) -> KdumpInitrdError:
    said = ", ".join(f"{hand.place} has {hand.word}" for hand in hands)
    return KdumpInitrdError(f"{said}, which kdump-initrd has not written", hint=hint)


def _created(tool: Loader, old: Sequence[str], words: Sequence[str]) -> str:
    """Return what a file has beside the words that the change will make; "" if it is there."""
    path = tool.place(tool.facts.file)
    edits = [] if tool.own or path.exists() else tool.edits(old, words)
    texts = [(each.content or b"").decode() for each in edits if each.path == path]
    return editing.without(texts[0], words, sourced=False) if texts else ""
