# SPDX-License-Identifier: GPL-2.0-or-later
"""report.json: what was done and how it ended, safe at every moment."""

from __future__ import annotations

import os
import time

from .. import __version__
from .imagepaths import IMAGE_ID, REMARKS
from .low.jsontext import dumps
from .store.naming import REPORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .low.progress import Progress
    from .store import Store, Text

SAVED, INCOMPLETE, FAILED = "saved", "incomplete", "failed"
#: Only the kernel log was asked for, and it is there.
LOGGED = "log"
#: The dump is whole, safe on the disk, and about to get its final name; there is no room for one.
FINISHING, REFUSED = "finishing", "refused"


def ending(result: str, start: float, progress: Progress) -> dict[str, object]:
    """Return the fields that tell how it ended, and what it took; start is of time.monotonic()."""
    return {
        "result": result,
        "seconds": round(time.monotonic() - start, 3),
        "rss_anon_kib": progress.peak + progress.others,
    }


class Report:
    """The fields of the report; "result" is "incomplete" until the dump is whole.

    attempts tell how other targets have done, a line "NAME: HOW" for each; hooks, what is wrong
    with hooks.
    """

    def __init__(self, attempts: Sequence[str] = (), hooks: Sequence[str] = ()) -> None:
        self.fields: dict[str, object] = {
            "version": __version__,
            "result": INCOMPLETE,
            "kernel_release": "",
            "build_id": "",
            "panic": "",
            "command_line": "",
            "crash_time": "",
            "capture_kernel": os.uname().release,
            "image": _told(IMAGE_ID).strip(),
            "attempts": list(attempts),
            "hooks": list(hooks),
            "dump": None,
            "seconds": 0.0,
            "rss_anon_kib": 0,
        }
        self.steps: list[dict[str, object]] = []
        for line in _told(REMARKS).splitlines():
            self.add("target", "done", seconds=0.0, detail=line)
        self._text: Text | None = None

    def add(self, name: str, result: str, *, seconds: float, detail: str) -> None:
        """Add the outcome of a step; result is "done", "incomplete" or "failed"."""
        entry = {"name": name, "result": result, "seconds": round(seconds, 3), "detail": detail}
        self.steps.append(entry)

    def text(self) -> str:
        """Return the report as JSON."""
        return dumps({**self.fields, "steps": self.steps}, 2) + "\n"

    def open(self, store: Store) -> None:
        """Write the first report into the crash's place; raises OSError."""
        self._text = store.text(REPORT)
        self.write()

    def write(self, *, last: bool = False) -> None:
        """Replace the report in the store; raises OSError. Before open, nothing happens."""
        if self._text:
            self._text.write(self.text(), last=last)


def _told(path: str) -> str:
    # A file of the image, which is not there on a host.
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
