# SPDX-License-Identifier: GPL-2.0-or-later
"""The saver's command line: SaverParams' fields as options, and a few more."""

from __future__ import annotations

from .params import ParamsError, SaverParams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .params import Value

USAGE = """\
usage: python3 -m kdump_initrd.saver [--params FILE] [--OPTION VALUE]...
       python3 -m kdump_initrd.saver --dmesg FILE
       python3 -m kdump_initrd.saver [--params FILE] --emergency REASON

Save a crashed kernel's memory, or print the kernel log of a vmcore or of a finished dump.

  --params FILE           take the options from a JSON file; options given as well come first
  --dmesg FILE            print the kernel log that is in FILE, and do nothing else
  --emergency REASON      save only what takes no time, and why: last words, kernel log, report
  --help                  print this text
"""
#: Options besides SaverParams' fields.
_OTHERS = ("params", "dmesg", "emergency")


class Request:
    """What is asked for: help, the log of a file (dmesg, "" for none), or to save (params).

    emergency is the reason for saving no more than what takes no time, "" to save all.
    """

    def __init__(self) -> None:
        self.help = False
        self.dmesg = ""
        self.emergency = ""
        self.params = SaverParams()


def parse(argv: list[str]) -> Request:
    """Read the arguments; raises ParamsError for what is wrong with them."""
    request = Request()
    texts: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if word in ("-h", "--help"):
            request.help = True
            return request
        option, equals, value = word.partition("=")
        name = option[2:].replace("-", "_")
        if not option.startswith("--") or name not in (*SaverParams.names(), *_OTHERS):
            raise ParamsError(f"{option}: no such option")
        if not equals:
            if not words:
                raise ParamsError(f"{option}: a value is wanted")
            value = words.pop(0)
        texts[name] = value
    request.dmesg = texts.pop("dmesg", "")
    request.emergency = texts.pop("emergency", "")
    request.params = _params(texts)
    return request


def _params(texts: dict[str, str]) -> SaverParams:
    values: dict[str, Value] = {}
    path = texts.pop("params", "")
    if path:
        try:
            with open(path, encoding="utf-8") as file:
                base = SaverParams.from_json(file.read())
        except OSError as error:
            raise ParamsError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ParamsError(f"{path}: not UTF-8 text") from None
        for name in SaverParams.names():
            values[name] = getattr(base, name)
    for name, text in texts.items():
        values[name] = _convert(name, text)
    return SaverParams(**values)


def _convert(name: str, text: str) -> Value:
    default = getattr(SaverParams, name)
    if not isinstance(default, int):
        return text
    try:
        return int(text)
    except ValueError:
        option = "--" + name.replace("_", "-")
        raise ParamsError(f"{option}: {text!r} is not a whole number") from None


def help_text() -> str:
    """Return the text of --help, with every option and its default."""
    lines = []
    for name in SaverParams.names():
        option = f"--{name.replace('_', '-')} VALUE"
        lines.append(f"  {option:<23} default {getattr(SaverParams, name)!r}\n")
    return USAGE + "".join(lines)
