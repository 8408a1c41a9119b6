# SPDX-License-Identifier: GPL-2.0-or-later
"""The saver's command line: the parameters as options, and a few more."""

from __future__ import annotations

from .params import TARGET, Params, ParamsError, Record, TargetParams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = """\
usage: python3 -m kdump_initrd.saver [--params FILE] [--target N] [--PARAMETER VALUE]...
                                    [--attempts LINES] [--hooks LINES] [--emergency REASON]
       python3 -m kdump_initrd.saver --dmesg FILE

Save a crashed kernel's memory, or print the kernel log of a vmcore or of a finished dump.

  --params FILE           take the parameters from a JSON file; options override them
  --target N              save to the Nth target, counted from 0 (the default)
  --dmesg FILE            print the kernel log that is in FILE, and do nothing else
  --attempts LINES        how other targets have done, for the report: a line "NAME: HOW" for each
  --hooks LINES           what is wrong with hooks, for the report: a line "NAME: WHAT" for each
  --emergency REASON      save only what is quick, and REASON: the kernel log and a report
  --help                  print this help

Parameters; those of the target begin with "target":

"""
#: Options besides the parameters.
_OTHERS = ("params", "target", "dmesg", "attempts", "hooks", "emergency")


class Request:
    """What is asked for: help, the log of a file (dmesg, "" for none), or to save to a target.

    number is that of the target in the list of params. attempts are lines of the report about
    others, hooks such lines about hooks. emergency is the reason for saving only what is quick, ""
    to save everything.
    """

    def __init__(self) -> None:
        self.help = False
        self.dmesg = ""
        self.emergency = ""
        self.attempts: list[str] = []
        self.hooks: list[str] = []
        self.number = 0
        self.params = Params()

    @property
    def target(self) -> TargetParams:
        """The target to save to."""
        return self.params.targets[self.number]


def parse(argv: list[str]) -> Request:
    """Read the arguments; raises ParamsError for what is wrong with them."""
    request = Request()
    known = dict(_parameters())
    texts: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if word in ("-h", "--help"):
            request.help = True
            return request
        option, equals, value = word.partition("=")
        name = option[2:]
        if not option.startswith("--") or not (name in known or name in _OTHERS):
            raise ParamsError(f"{option}: no such option")
        if not equals:
            if not words:
                raise ParamsError(f"{option}: expected a value")
            value = words.pop(0)
        texts[name] = value
    request.dmesg = texts.pop("dmesg", "")
    request.emergency = texts.pop("emergency", "")
    request.attempts = texts.pop("attempts", "").splitlines()
    request.hooks = texts.pop("hooks", "").splitlines()
    request.params = _read(texts.pop("params", ""))
    request.number = _number(texts.pop("target", "0"), len(request.params.targets))
    if texts:
        request.params = _changed(request, texts, known)
    return request


def _parameters() -> Iterator[tuple[str, object]]:
    # The parameters' dotted names, as they are options, with their defaults.
    for record, start in ((Params, ""), (TargetParams, f"{TARGET}.")):
        for field in record.fields():
            default = getattr(record, field)
            if isinstance(default, Record):
                for each in default.fields():
                    yield f"{field}.{each}", getattr(default, each)
            elif not isinstance(default, tuple):
                yield start + field, default


def _read(path: str) -> Params:
    if not path:
        return Params()
    try:
        with open(path, encoding="utf-8") as file:
            return Params.from_json(file.read())
    except OSError as error:
        raise ParamsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ParamsError(f"{path}: not UTF-8 text") from None


def _changed(request: Request, texts: dict[str, str], known: dict[str, object]) -> Params:
    values: dict[str, object] = dict(texts)
    for name, text in texts.items():
        if isinstance(known[name], int):
            values[name] = _whole(name, text)
    return request.params.changed(values, request.number)


def _number(text: str, count: int) -> int:
    number = _whole(TARGET, text)
    if not 0 <= number < count:
        raise ParamsError(f"--{TARGET}: there is no target {number}, only {count}")
    return number


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ParamsError(f"--{name}: expected a whole number, not {text!r}") from None


def help_text() -> str:
    """Return the text of --help, with every parameter and its default."""
    lines = [f"  {f'--{name} VALUE':<31} default {value!r}\n" for name, value in _parameters()]
    return USAGE + "".join(lines)
