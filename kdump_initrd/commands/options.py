# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of settings as options of a command line: what our commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Container, Sequence
from typing import Any, NoReturn, Protocol

from ..config.settings import Setting, parse
from ..core.errors import UsageError


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError instead of leaving, and takes long options in full only.

    With ``reports`` it raises argparse.ArgumentError instead, which names the option.
    """

    def __init__(
        self, *, prog: str, usage: str, description: str, epilog: str, reports: bool = False
    ) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=False,
            exit_on_error=not reports,
        )

    def flags(self) -> list[str]:
        """Return all options that it knows, with their synonyms."""
        return list(self._option_string_actions)

    def nearest(self, word: str) -> str:
        """Return the long option that somebody may have meant by ``word``, "" for none."""
        from difflib import get_close_matches

        known = [
            flag
            for flag, action in self._option_string_actions.items()
            if flag.startswith("--") and action.help != argparse.SUPPRESS
        ]
        name = word.partition("=")[0]
        begun = [flag for flag in known if len(name) > 3 and flag.startswith(name)]
        return next(iter(begun or get_close_matches(name, known, 1, 0.7)), "")

    def unknown(
        self, words: Sequence[str], hint: str, *, elsewhere: Container[str] = ()
    ) -> UsageError:
        """Return what is wrong with ``words``, which are no options of this command.

        Those that are options ``elsewhere`` are not misspelt.
        """
        odd = [word for word in words if word.startswith("-") and len(word) > 2]
        meant = [self.nearest(word) for word in odd if word.partition("=")[0] not in elsewhere]
        near = next(filter(None, meant), "")
        return UsageError(
            f"unrecognized arguments: {' '.join(words)}",
            hint=f"did you mean {near}? {hint}" if near else hint,
        )

    def parse_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """Return the options and words; raises UsageError, also for words that it does not know."""
        arguments, unknown = self.parse_known_intermixed_args(args, namespace)
        if unknown:
            raise self.unknown(unknown, f"{self.prog} --help lists the options")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words."""
        raise UsageError(message, hint=f"{self.prog} --help lists the options")


class Group(Protocol):
    """What a parser and its groups have in common."""

    def add_argument(self, *flags: str, **shape: Any) -> argparse.Action:  # noqa: ANN401
        """Add an option, as argparse does."""
        ...


def add_settings(group: Group, settings: Sequence[Setting]) -> None:
    """Make options of some rows; values are parsed later, by the table."""
    for setting in settings:
        group.add_argument(*setting.flags, dest=setting.name, **_shape(setting))


def _shape(setting: Setting) -> dict[str, Any]:
    if not setting.metavar:
        return {"action": "store_true", "help": setting.help}
    return {
        "action": "append" if setting.many else "store",
        "metavar": setting.metavar,
        "help": setting.help + _default_text(setting),
    }


def _default_text(setting: Setting) -> str:
    default = setting.default
    if isinstance(default, (str, int)) and default != "" and "default" not in setting.help:
        return f" (default: {getattr(default, 'value', default)})"
    return ""


def values(arguments: argparse.Namespace, settings: Sequence[Setting]) -> dict[str, Any]:
    """Return the values that were given, by name; raises UsageError for one that is none."""
    found: dict[str, Any] = {}
    for setting in settings:
        said = getattr(arguments, setting.name)
        if said is None or said is False:
            continue
        if setting.is_text and "" in (said if setting.many else [said]):
            # An unset variable of a script: what is then the default would be a surprise.
            raise UsageError(f"{setting.flags[0]}: the value is empty", hint="give one")
        if said is True:
            found[setting.name] = True
        elif setting.many:
            found[setting.name] = tuple(parse(setting, word) for word in said)
        else:
            found[setting.name] = parse(setting, said)
    return found
