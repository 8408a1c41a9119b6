# SPDX-License-Identifier: GPL-2.0-or-later
"""The crashes that a folder for dumps holds already: which may go, and whether they come too often.

An image has this only if a rule needs it; a host applies the same rules.
"""

from __future__ import annotations

import os
import stat

from .low.failure import SaverError
from .low.jsontext import loads
from .store.naming import BESIDE, REPORT, UNFINISHED, Names, candidates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .low.console import Console
    from .params import NameParams, Params, TargetParams

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Bytes of a report that are read; of a block of st_blocks (stat(2)); seconds of a day.
_MAX_REPORT, _BLOCK, _DAY = 1 << 20, 512, 86400
#: What hooks/save/50-copy calls the saver's report and its own file; the results of whole dumps.
_COPY = ("report-saver.json", "-raw" + UNFINISHED)
_WHOLE = ("saved", "copied")


class OldCrash:
    """A crash of ours: all of its files are such that a saver has made them.

    name   of its folder
    time   seconds since 1970
    bytes  that its files take
    whole  whether its dump is whole, and there
    """

    def __init__(self, name: str, time: int, *, taken: int, whole: bool) -> None:
        self.name, self.time, self.bytes, self.whole = name, time, taken, whole


class Older:
    """The crashes beside the one that is being saved."""

    def __init__(self, params: Params, target: TargetParams, where: str, now: int) -> None:
        """Look at those in the folder in which ``where`` is; now is the time of this crash."""
        self._target, self._limits, self._now = target, params.limits, now
        self._folder, own = os.path.split(where)
        self._crashes = [each for each in find(self._folder, params.names) if each.name != own]

    def loop(self) -> str:
        """Return how many there were before this one, if they come too often; "" otherwise."""
        limits = self._limits
        count = recent(self._crashes, now=self._now, minutes=limits.loop_minutes)
        if not limits.loop_crashes or count < limits.loop_crashes:
            return ""
        return f"{count} crashes in the last {limits.loop_minutes} minutes"

    def make_room(self, size: int, room: int, console: Console) -> bool:
        """Remove what must go for a dump of so many bytes; tell whether something was removed.

        Raises OSError.
        """
        chosen = expendable(self._crashes, self._target, now=self._now, size=size, room=room)
        for each in chosen:
            console.warning(f"{self._folder}/{each.name} is removed, to make room")
            remove(self._folder, each)
            self._crashes.remove(each)
        return bool(chosen)


def find(folder: str, names: NameParams) -> list[OldCrash]:
    """Return the crashes in a folder, the newest first; names are those that its crashes have.

    What has a file that a saver does not make, or no report, is none. Raises OSError.
    """
    top = os.open(folder, _LOOK | os.O_DIRECTORY)
    try:
        found = [_look(top, name, names) for name in os.listdir(top)]
    finally:
        os.close(top)
    crashes = [each for each in found if each]
    return sorted(crashes, key=lambda each: (each.time, each.name), reverse=True)


def expendable(
    crashes: list[OldCrash], target: TargetParams, *, now: int, size: int, room: int
) -> list[OldCrash]:
    """Return those that must go for a dump of so many bytes, the oldest first.

    crashes are as find() returns them, room is in bytes. Only what the target's rules give up is
    returned, never the newest whole dump; nothing, if that would not be enough.
    """
    if target.max_use:
        used = sum([each.bytes for each in crashes])
        room = min(room, (target.max_use << 20) - used)
    kept = next((each for each in crashes if each.whole), None)
    chosen: list[OldCrash] = []
    for at, each in reversed(list(enumerate(crashes))):
        if size <= room:
            break
        old = target.max_age and now - each.time > target.max_age * _DAY
        if each is not kept and (target.max_use or old or (target.keep and at >= target.keep)):
            chosen.append(each)
            room += each.bytes
    return chosen if size <= room else []


def remove(folder: str, crash: OldCrash) -> None:
    """Remove a crash from its folder, the report last; raises OSError."""
    top = os.open(folder, _LOOK | os.O_DIRECTORY)
    try:
        fd = os.open(crash.name, _LOOK | os.O_DIRECTORY, dir_fd=top)
        try:
            for name in sorted(os.listdir(fd), key=lambda name: name == REPORT):
                os.unlink(name, dir_fd=fd)
        finally:
            os.close(fd)
        os.rmdir(crash.name, dir_fd=top)
        os.fsync(top)
    finally:
        os.close(top)


def recent(crashes: list[OldCrash], *, now: int, minutes: int) -> int:
    """Return how many crashes there were in so many minutes before now."""
    return len([each for each in crashes if 0 <= now - each.time <= minutes * 60])


def _look(top: int, name: str, names: NameParams) -> OldCrash | None:
    try:
        fd = os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=top)
    except OSError:  # a file, a link, or gone
        return None
    try:
        report = _report(fd)
        seconds = _seconds(str(report["crash_time"]))
        dump = report["dump"]
        written = str(dump["name"]) if isinstance(dump, dict) else ""
        files = {each: os.stat(each, dir_fd=fd, follow_symlinks=False) for each in os.listdir(fd)}
        if not set(files) <= _known(names, seconds, written):
            return None
        if {stat.S_IFMT(each.st_mode) for each in files.values()} != {stat.S_IFREG}:
            return None
        whole = report["result"] in _WHOLE and written in files
        taken = sum([each.st_blocks * _BLOCK for each in files.values()])
        return OldCrash(name, seconds, taken=taken, whole=whole)
    except (OSError, ValueError, KeyError, IndexError, SaverError):
        return None
    finally:
        os.close(fd)


def _report(folder: int) -> dict[str, object]:
    fd = os.open(REPORT, _LOOK, dir_fd=folder)
    try:
        found = loads(os.read(fd, _MAX_REPORT).decode())
    finally:
        os.close(fd)
    if not isinstance(found, dict):
        raise ValueError(REPORT)
    return found


def _known(names: NameParams, seconds: int, written: str) -> set[str]:
    # The names of all files that a crash of that time can have.
    given = Names(names, seconds)
    known = {REPORT, REPORT + BESIDE, _COPY[0], names.capture_log, written}
    for kind in ("dump", "dmesg", "readme"):
        for each in candidates(*given.of(kind)) if getattr(names, kind) else ():
            known.update((each, each + UNFINISHED, each + _COPY[1], each + BESIDE))
    return known


def _seconds(text: str) -> int:
    # Of "2001-02-03T16:05:06Z". The library's way needs modules that an image does not have.
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    # Days since 1970-01-01: years begin in March, so that a leap day is the last one.
    year -= month <= 2
    days = 365 * year + year // 4 - year // 100 + year // 400
    days += (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second
