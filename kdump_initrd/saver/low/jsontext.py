# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON text, strictly by RFC 8259: the json module costs 0.4 s of start-up under emulation."""

from __future__ import annotations

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED = {char: "\\" + letter for letter, char in _ESCAPES.items() if letter != "/"}
_WORDS = {"true": True, "false": False, "null": None}
_DIGITS = "0123456789"
_HEX = "0123456789abcdefABCDEF"
#: Nesting that is accepted: far below Python's own limit on recursion.
_DEPTH = 100
#: Digits of an integer that are accepted: Python 3.11 itself refuses more than 4300.
_MAX_DIGITS = 4000


class JsonError(ValueError):
    """The text is not JSON; the message has the offset in characters."""


def dumps(value: object, indent: int = 0) -> str:
    """Return value (dict with str keys, list, tuple, str, number, bool, None) as ASCII JSON.

    indent is the spaces a level; 0 puts all on one line. Raises JsonError for another type, for
    infinities and NaN.
    """
    return _dump(value, indent, "\n")


def _dump(value: object, indent: int, line: str) -> str:
    if value is None or value is True or value is False:
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise JsonError(f"{value!r} has no form in JSON")
        return float.__repr__(value)
    inner = line + " " * indent
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise JsonError(f"key {key!r} is not a string")
        items = [f"{_quote(key)}: {_dump(item, indent, inner)}" for key, item in value.items()]
        return _join("{", items, "}", inner if indent else "", line)
    if isinstance(value, (list, tuple)):
        items = [_dump(item, indent, inner) for item in value]
        return _join("[", items, "]", inner if indent else "", line)
    raise JsonError(f"{type(value).__name__} has no form in JSON")


def _join(start: str, items: list[str], end: str, inner: str, line: str) -> str:
    if not items:
        return start + end
    if not inner:
        return start + ", ".join(items) + end
    return start + inner + ("," + inner).join(items) + line + end


def _quote(text: str) -> str:
    return '"' + "".join([_escape(char) for char in text]) + '"'


def _escape(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    code = ord(char)
    if 0x20 <= code < 0x7F:
        return char
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 | code >> 10:04x}\\u{0xDC00 | code & 0x3FF:04x}"


def loads(text: str) -> object:
    """Return the value of a JSON text; the last of equal keys counts. Raises JsonError."""
    reader = _Reader(text)
    value = reader.value(0)
    reader.skip()
    if reader.at < len(text):
        raise reader.error("expected nothing more")
    return value


class _Reader:
    # A recursive-descent reader: every method begins at self.at and leaves it behind its part.

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(self, what: str) -> JsonError:
        return JsonError(f"not JSON at character {self.at}: {what}")

    def skip(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t", "\n", "\r"):
            self.at += 1

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def accept(self, char: str) -> bool:
        self.skip()
        if self.peek() != char:
            return False
        self.at += 1
        return True

    def expect(self, char: str) -> None:
        if not self.accept(char):
            raise self.error(f"expected {char!r}")

    def value(self, depth: int) -> object:
        if depth > _DEPTH:
            raise self.error(f"nested more than {_DEPTH} deep")
        self.skip()
        char = self.peek()
        if char == "{":
            return self.members(depth)
        if char == "[":
            return self.elements(depth)
        if char == '"':
            return self.string()
        if char and char in "-" + _DIGITS:
            return self.number()
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        raise self.error("expected a value")

    def members(self, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        self.expect("{")
        if self.accept("}"):
            return found
        while True:
            self.skip()
            key = self.string()
            self.expect(":")
            found[key] = self.value(depth + 1)
            if not self.accept(","):
                self.expect("}")
                return found

    def elements(self, depth: int) -> list[object]:
        found: list[object] = []
        self.expect("[")
        if self.accept("]"):
            return found
        while True:
            found.append(self.value(depth + 1))
            if not self.accept(","):
                self.expect("]")
                return found

    def string(self) -> str:
        self.expect('"')
        parts: list[str] = []
        while True:
            char = self.peek()
            if char < " ":  # the end, too
                raise self.error("a string does not end" if not char else "a control character")
            self.at += 1
            if char == '"':
                return "".join(parts)
            parts.append(self.escape() if char == "\\" else char)

    def escape(self) -> str:
        char = self.peek()
        if char != "u":
            if char not in _ESCAPES:
                raise self.error("an unknown escape")
            self.at += 1
            return _ESCAPES[char]
        code = self.unit()
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.at):
            back = self.at
            self.at += 1
            low = self.unit()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF))
            self.at = back
        return chr(code)

    def unit(self) -> int:
        digits = self.text[self.at + 1 : self.at + 5]
        if len(digits) < 4 or any(digit not in _HEX for digit in digits):
            raise self.error("expected four hexadecimal digits")
        self.at += 5
        return int(digits, 16)

    def digits(self) -> str:
        start = self.at
        while self.peek() and self.peek() in _DIGITS:
            self.at += 1
        if self.at == start:
            raise self.error("expected a digit")
        return self.text[start : self.at]

    def number(self) -> float:
        start = self.at
        if self.peek() == "-":
            self.at += 1
        whole = self.digits()
        if whole[0] == "0" and len(whole) > 1:
            raise self.error("a number begins with 0")
        real = False
        if self.peek() == ".":
            self.at += 1
            self.digits()
            real = True
        if self.peek() in ("e", "E"):
            self.at += 1
            if self.peek() in ("+", "-"):
                self.at += 1
            self.digits()
            real = True
        if len(whole) > _MAX_DIGITS and not real:
            raise self.error("too many digits")
        return float(self.text[start : self.at]) if real else int(self.text[start : self.at])
