# SPDX-License-Identifier: GPL-2.0-or-later
"""The text for people in a crash's folder (SUSE's kdump has had one, README.txt)."""

from __future__ import annotations

from .report import FAILED, INCOMPLETE, LOGGED, REFUSED, SAVED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .report import Report
    from .store import Text

_FIRST = """\
kdump-initrd {version} is saving a crash of Linux in this folder.

This text is replaced when that is done. If you still see it after the machine has restarted, the
work was cut short, and the dump is likely incomplete: a file that ends in "-incomplete".
What has been saved of it can be read.

"""
_LAST = """\
Linux crashed on this machine; this is what kdump-initrd {version} could save of it.

"""
_RESULTS = {
    SAVED: "the dump is complete",
    LOGGED: "the kernel log is there, and no dump was to be saved here",
    INCOMPLETE: "the dump is there, but not all of it is safe",
    REFUSED: "there is no dump: it would not have fitted",
    FAILED: "there is no dump; report.json tells of a raw copy that was made instead, if any",
}


class Readme:
    """The file, told from the report's fields and steps."""

    def __init__(self, report: Report, text: Text) -> None:
        """Nothing is written yet."""
        self._report = report
        self._text = text

    def begin(self) -> None:
        """Write what people will read if nothing can be written any more; raises OSError."""
        self._text.write(_FIRST.format_map(self._report.fields) + self._crash())

    def end(self) -> None:
        """Replace it with how it ended; raises OSError."""
        fields = self._report.fields
        result = str(fields["result"])
        text = _LAST.format_map(fields)
        text += _line("Result", f"{result}: {_RESULTS[result]}") + self._crash()
        text += _line("Panic message", fields["panic"]) + self._dump()
        attempts = fields["attempts"]
        if isinstance(attempts, list) and attempts:
            text += "\nOther targets:\n" + "".join(
                [f"  {_plain(str(each))}\n" for each in attempts]
            )
        text += "\nSteps:\n"
        for step in self._report.steps:
            detail = f": {step['detail']}" if step["detail"] else ""
            text += f"  {step['name']!s:<8}{step['result']} ({step['seconds']} s){_plain(detail)}\n"
        self._text.write(text, last=True)

    def _crash(self) -> str:
        fields = self._report.fields
        return _line("Kernel release", fields["kernel_release"]) + _line(
            "Crash time (UTC)", fields["crash_time"]
        )

    def _dump(self) -> str:
        dump = self._report.fields["dump"]
        if not isinstance(dump, dict):
            return _line("Dump", "none")
        kind = "{format}, codec {codec}, level {level}".format_map(dump)
        return (
            _line("Dump", dump["name"])
            + _line("Format", kind)
            + _line("Size", f"{dump['bytes']} bytes")
        )


def _line(title: str, value: object) -> str:
    return f"{title + ':':<18}{_plain(str(value)) or 'unknown'}\n"


def _plain(text: str) -> str:
    # A crashed kernel's log can hold anything.
    return "".join(letter if letter.isprintable() else "?" for letter in text)
