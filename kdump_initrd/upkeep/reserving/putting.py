# SPDX-License-Identifier: GPL-2.0-or-later
"""Putting crashkernel= onto the command line of the next boot, and taking it out.

What is put there is noted before it is done, with what it replaces; so a run that was interrupted
is finished by the next one, and only that is taken out again. Words that a person has written stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...bootloaders import crashwords, loader
from ...bootloaders.changes import Edit, Kept
from ...bootloaders.loader import Absent, Loader
from ...core.errors import KdumpInitrdError
from ...probe.distro.profilekeys import BootLoader
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
    hands = [hand.word for hand in state.hands] if force else []
    before = tuple(dict.fromkeys([*state.note.before, *hands]))
    # A file of ours has the last words, so they count.
    old = list(before) if tool.own is None else []
    bare = tool.bare(state.note.words, state.note.files)
    plan = bare.plan(old, words)  # what cannot be written is not noted
    files = _kept(bare, plan, state.note)
    # Until it is done, both sizes are ours.
    both = tuple(dict.fromkeys([*state.note.words, *words]))
    notes.save(Note(both, before, files), state.root)
    left = bare.change(plan, [*dict.fromkeys([*state.note.words, *old])], words)
    files = _finished(bare, plan, files)
    notes.save(Note(both, before, files), state.root)
    if not left:
        _prove(tool, words)
    notes.save(Note(words, before, files), state.root)
    return Outcome(YES, f"{' '.join(words)} is set, by {tool.name}", tuple(left), changed=True)


def take(state: State, *, force: bool) -> Outcome:
    """Take out what was put there, with ``force`` all words; what they replaced is put back.

    Raises KdumpInitrdError.
    """
    note = state.note
    tool = state.loader or Absent("", BootLoader("", ()), state.root, {})
    hands = [hand.word for hand in state.hands] if force else []
    owned = tool.owned()
    if not (note.words or note.files or hands or owned):
        rest = f"; {state.hands[0].place} has {state.hands[0].word}" if state.hands else ""
        hint = "--force takes it out, too" if rest else ""
        return Outcome(YES, f"nothing is there of kdump-initrd{rest}", hint=hint)
    if state.loader is None and not note.files:
        raise _unknown(state, note.words, _TAKE_OUT)
    words = hands if tool.own else list(dict.fromkeys([*note.words, *hands]))
    put_back = [] if tool.own or force else [word for word in note.before if word not in words]
    bare = tool.bare(note.words, note.files, hands)
    plan = bare.plan(hands, [word for word in put_back if not bare.has(word)])
    files = _kept(bare, plan, note)
    if any(each.text != bare.text(each.path) for each in plan):
        # Only then: what needs no room is undone on a full disk, too.
        notes.save(Note(note.words, note.before, files), state.root)
    left = bare.change(plan, words, put_back, later=bare.later())
    for folder in (folder for kept in files.values() for folder in kept.folders):
        with suppress(OSError):
            folder.rmdir()
    if not left:
        _check_gone(tool, words)
        notes.forget(state.root)
    back = f", and {' '.join(put_back)} is back" if put_back else ""
    what = " ".join([*words, *map(str, owned)])
    hint = "" if state.loader else "run the boot loader's own tool: none is known here"
    return Outcome(YES, f"{what} is taken out{back}", tuple(left), hint, changed=True)


def _kept(bare: Loader, plan: Sequence[Edit], note: Note) -> dict[Path, Kept]:
    """Return what to keep of the files that will be changed: by this, too, a kill is undone."""
    new = {each.path: each.text for each in plan}
    files = {}
    for path in (*new, *bare.touched()):
        now = bare.present(path)
        wrote = tuple(text for text in (now, new.get(path)) if text is not None)
        made = [] if now is not None else [each for each in path.parents if not each.exists()]
        folders = note.files[path].folders if path in note.files else ()
        files[path] = Kept(bare.text(path), wrote, (*made, *folders))
    return files


def _finished(bare: Loader, plan: Sequence[Edit], files: Mapping[Path, Kept]) -> dict[Path, Kept]:
    """Return what to keep of the files that have been changed."""
    new = {each.path: each.text for each in plan}
    wrote = {path: new[path] if path in new else bare.present(path) for path in files}
    return {
        path: replace(kept, wrote=(text,))
        for path, kept in files.items()
        if (text := wrote[path]) is not None and text != kept.before
    }


def _known(state: State, words: Sequence[str]) -> Loader:
    if state.loader is None:
        raise _unknown(state, words, _BY_HAND)
    return state.loader


def _unknown(state: State, words: Sequence[str], hint: str) -> KdumpInitrdError:
    return KdumpInitrdError(
        f"{state.root}: no boot loader that is known here was found",
        hint=f"{' '.join(words)}: {hint}",
    )


def _is_noted(state: State, words: Sequence[str]) -> bool:
    """Tell whether words are ours, and where entries are made from."""
    tool = state.loader
    if tool is None or tool.own is not None:
        return tool is not None and tool.owned() == [tool.own] and tool.own_words() == [*words]
    text = tool.read(tool.place(tool.facts.file)) if tool.facts.file else " ".join(words)
    return state.note.words == tuple(words) and all(word in text for word in words)


def _prove(tool: Loader, words: Sequence[str]) -> None:
    """Read back what the boot loader reads; raises KdumpInitrdError where that is not right."""
    said = " ".join(words)
    try:
        boots = tool.boots()
        overruling = tool.overruling()
    except OSError as error:
        raise KdumpInitrdError(f"{error.filename}: {error.strerror}") from error
    lacking = loader.lacking(boots, words)
    if not lacking and boots:
        return
    place = lacking[0].place if lacking else ", ".join(tool.facts.reads)
    has = crashwords.words_of(lacking[0].cmdline) if lacking else []
    says = f"{place} has {' '.join(has) or f'no {crashwords.NAME}'}"
    if overruling and tool.own:
        raise KdumpInitrdError(
            f"{says}: {overruling[0]} is read behind {tool.own.name}, and sets the same variable",
            hint=f"give it a name that sorts before {tool.own.name}, or add {said} to it",
        )
    raise KdumpInitrdError(f"{says}: {tool.name} still boots without {said}", hint=_BY_HAND)


def _check_gone(tool: Loader, words: Sequence[str]) -> None:
    for boot in tool.boots():
        stays = [word for word in crashwords.words_of(boot.cmdline) if word in words]
        if stays:
            raise KdumpInitrdError(f"{boot.place} still has {stays[0]}", hint=_TAKE_OUT)


def _by_hand(hands: Sequence[Hand], hint: str) -> KdumpInitrdError:
    said = ", ".join(f"{hand.place} has {hand.word}" for hand in hands)
    return KdumpInitrdError(f"{said}, which kdump-initrd has not written", hint=hint)
