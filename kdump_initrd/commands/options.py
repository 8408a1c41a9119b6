# SPDX-License-Identifier: GPL-2.0-or-later
"""The parser of all commands: argparse, with the options from the table of settings."""

from __future__ import annotations

import argparse
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, NoReturn, Protocol

from ..config.settings import Setting, parse
from ..config.targetsettings import OF_TARGET, WHERE, TargetSettings
from ..core import exits
from ..core.errors import UsageError

#: Given as a file's name, it means standard output.
STDOUT = "-"
#: The help text of an option that the help does not show.
HIDDEN = argparse.SUPPRESS
#: What a parser has found, by name.
Arguments = argparse.Namespace


@dataclass(frozen=True)
class Attempt:
    """What a parser has made of some words.

    ``problem`` is why it gave up, "" if it did not. If it did, ``arguments`` are those that it had
    found so far, and ``at`` is the option with the problem, if the problem is an option's.
    ``unknown`` are the words that the parser does not know.
    """

    arguments: Arguments
    unknown: tuple[str, ...] = ()
    problem: str = ""
    at: str = ""


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError instead of leaving, and accepts long options in full only.

    ``usage`` are lines without the command's name; a line that ends in a colon is a title of those
    below it. ``epilog`` is printed below all options, followed by the meaning of the exit
    ``statuses``.
    """

    def __init__(
        self,
        *,
        prog: str,
        usage: Sequence[str],
        description: str,
        epilog: str,
        statuses: Sequence[int] = (),
    ) -> None:
        if statuses:
            epilog = f"{epilog}\n{fill(exits.sentence(statuses), 100)}"
        super().__init__(
            prog=prog,
            usage=usage_of(prog, usage),
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=False,
            exit_on_error=False,  # the exception tells at which option
        )

    def group(self, title: str) -> Group:
        """Return the group of options with that title; it is created if it does not exist."""
        there = (group for group in self._action_groups if group.title == title)
        return next(there, None) or self.add_argument_group(title)

    def flags(self) -> list[str]:
        """Return all options that it knows, with their synonyms."""
        return list(self._option_string_actions)

    def nearest(self, word: str) -> str:
        """Return the long option that ``word`` may have been meant to be, "" for none."""
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
        """Return the error for ``words``, which are not options of this command.

        Words that are options ``elsewhere`` are not taken for misspelt ones.
        """
        odd = [word for word in words if word.startswith("-") and len(word) > 2]
        meant = [self.nearest(word) for word in odd if word.partition("=")[0] not in elsewhere]
        near = next(filter(None, meant), "")
        return UsageError(
            f"unrecognized arguments: {' '.join(words)}",
            hint=f"did you mean {near}? {hint}" if near else hint,
        )

    def attempt(self, words: Sequence[str], rest: str) -> Attempt:
        """Read any ``words``; those after "--" become values of the argument ``rest``."""
        arguments = Arguments()
        # After "--" there are no options; argparse forgets that when options and words are mixed.
        end = words.index("--") if "--" in words else len(words)
        try:
            _, unknown = self.parse_known_intermixed_args(words[:end], arguments)
        except argparse.ArgumentError as error:
            # "-f/--force" where an option has several names: the one that was said is not told.
            names = (error.argument_name or "").split("/")
            at = next((name for name in names if name in words), "")
            return Attempt(arguments, problem=str(error), at=at)
        setattr(arguments, rest, [*getattr(arguments, rest), *words[end + 1 :]])
        return Attempt(arguments, tuple(unknown))

    def understand(self, words: Sequence[str], rest: str) -> Arguments:
        """Return what ``words`` say, with non-options as ``rest``; raises UsageError."""
        hint = f"{self.prog} --help lists the options"
        found = self.attempt(words, rest)
        if found.problem:
            raise UsageError(found.problem, hint=hint)
        if found.unknown:
            raise self.unknown(found.unknown, hint)
        return found.arguments

    def error(self, message: str) -> NoReturn:
        """Report what is wrong with the words."""
        raise UsageError(message, hint=f"{self.prog} --help lists the options")


def usage_of(program: str, lines: Sequence[str]) -> str:
    """Return the usage of a command, as its help prints it after "usage: "."""
    whole = (f"  {line}" if line.endswith(":") else f"       {program} {line}" for line in lines)
    return "\n".join(whole).lstrip()


class Group(Protocol):
    """What a parser and its groups have in common."""

    def add_argument(self, *flags: str, **shape: Any) -> argparse.Action:  # noqa: ANN401
        """Add an option, as argparse does."""
        ...


def add_settings(group: Group, settings: Sequence[Setting]) -> None:
    """Make options of some rows; values are parsed later, by the table."""
    for setting in settings:
        group.add_argument(*setting.flags, dest=setting.name, **_shape(setting))


class _InOrder(argparse.Action):
    """An option whose position matters: all such options are noted in their order.

    ``const`` is whether it may be repeated.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: Arguments,
        values: Any,  # noqa: ANN401 - as argparse has it
        option_string: str | None = None,
    ) -> None:
        """Note the word, and have it as the last one of its name, or with those before it."""
        said = [*(getattr(namespace, self.dest) or ()), values] if self.const else values
        setattr(namespace, self.dest, said)
        namespace.in_order = [*getattr(namespace, "in_order", ()), (self.dest, values)]


def _shape(setting: Setting) -> dict[str, Any]:
    if not setting.metavar:
        return {"action": "store_true", "help": setting.help}
    shape = {"metavar": setting.metavar, "help": setting.help + _default_text(setting)}
    if setting.name in (*WHERE, *OF_TARGET):
        return {**shape, "action": _InOrder, "const": setting.many}
    return {**shape, "action": "append" if setting.many else "store"}


def _default_text(setting: Setting) -> str:
    default = setting.default
    if isinstance(default, (str, int)) and default != "" and "default" not in setting.help:
        return f" (default: {getattr(default, 'value', default)})"
    return ""


def values(arguments: Arguments, settings: Sequence[Setting]) -> dict[str, Any]:
    """Return the values that were given, by name; raises UsageError for an invalid one.

    The values of targets are in "targets", if there are any.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        said = getattr(arguments, setting.name)
        if said is None or said is False:
            continue
        if said is True:
            found[setting.name] = True
        elif setting.many:
            found[setting.name] = tuple(_value(setting, word) for word in said)
        else:
            found[setting.name] = _value(setting, said)
    if {*WHERE} & found.keys():
        rows = {setting.name: setting for setting in settings}
        words = [(rows[name], word) for name, word in arguments.in_order]
        found = {name: each for name, each in found.items() if name not in (*WHERE, *OF_TARGET)}
        found["targets"] = _targets(words)
    return found


def _value(setting: Setting, word: str) -> Any:  # noqa: ANN401 - as varied as the settings
    if setting.is_text and not word:
        # Probably an unset variable of a script: falling back to the default would be a surprise.
        raise UsageError(f"{setting.flags[0]}: the value is empty", hint="give one")
    return parse(setting, word)


def _targets(words: Iterable[tuple[Setting, str]]) -> tuple[TargetSettings, ...]:
    """Return the targets that the options name, in their order.

    Options before the first target apply to all of them.
    """
    common: dict[str, Any] = {}
    targets: list[dict[str, Any]] = []
    for row, word in words:
        if row.name in WHERE:
            targets.append({"to": _value(row, word)})
            continue
        its = targets[-1] if targets else common
        value = _value(row, word)
        its[row.name] = (*its.get(row.name, ()), value) if row.many else value
    return tuple(TargetSettings(**{**common, **each}) for each in targets)
