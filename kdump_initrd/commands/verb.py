# SPDX-License-Identifier: GPL-2.0-or-later
"""What a verb is: how it is called, which words and options it takes, and what it does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..config.settings import COMMON
from ..core.errors import UsageError
from .options import Arguments, Parser, values

#: As many KERNEL_VERSIONs as somebody can say.
MANY = 1000
#: The settings that say which host, and which distribution, a verb is about.
_HOST = tuple(row for row in COMMON if row.name in ("root", "distro"))


class Request(ABC):
    """What a command line asks for; its attributes are what was said."""

    @abstractmethod
    def run(self) -> int:
        """Do it and return the exit status, one of core.exits; raises KdumpInitrdError."""


class Verb(Request):
    """One thing that a command does: a file in verbs/, and a row in the list there.

    Until it runs it looks at nothing and imports nothing that --help could do without.
    """

    #: The word that asks for it, or behind "--" the option.
    name: ClassVar[str]
    #: How it is said: lines, without the command's name.
    usage: ClassVar[Sequence[str]]
    #: What the help says of it.
    summary: ClassVar[str]
    #: Of the settings that are options of all its command's verbs those that it knows, by name.
    takes: ClassVar[Collection[str]] = ()
    #: How many KERNEL_VERSIONs it takes at most.
    kernels: ClassVar[int] = 0
    #: What to do about an option that it does not know.
    way_out: ClassVar[str] = "leave it out, or use it alone"

    @classmethod
    @abstractmethod
    def configure(cls, parser: Parser) -> None:
        """Add the words and options that are the verb's own."""

    @classmethod
    @abstractmethod
    def read(cls, arguments: Arguments) -> Verb:
        """Return what parsed words ask for; raises UsageError."""


@dataclass(frozen=True)
class HostVerb(Verb):
    """A verb about a host: its root, and its distribution if that was said."""

    root: Path = Path("/")
    distro: str | None = None

    takes: ClassVar[Collection[str]] = ("root", "distro")

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb: a switch asks for it."""
        add_option(parser, cls)

    @classmethod
    def read(cls, arguments: Arguments) -> HostVerb:
        """See Verb."""
        return cls(*host_of(arguments))


@dataclass(frozen=True)
class ImageVerb(Verb):
    """A verb about an image, which is the value of its option."""

    image: Path

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        add_option(parser, cls, metavar="IMAGE")

    @classmethod
    def read(cls, arguments: Arguments) -> ImageVerb:
        """See Verb."""
        return cls(image_of(cls, arguments))


def add_option(parser: Parser, verb: type[Verb], **shape: Any) -> None:  # noqa: ANN401
    """Add the option ``--NAME`` of a verb; without a shape, as argparse has it, it is a switch."""
    shape = shape or {"action": "store_true"}
    parser.group("other verbs").add_argument(f"--{verb.name}", help=verb.summary, **shape)


def image_of(verb: type[Verb], arguments: Arguments) -> Path:
    """Return the image that is the value of a verb's option; raises UsageError for none."""
    word: str = getattr(arguments, verb.name.replace("-", "_"))
    if not word:
        raise UsageError(f"--{verb.name}: the value is empty", hint="name an image")
    return Path(word)


def host_of(arguments: Arguments) -> tuple[Path, str | None]:
    """Return the root and the distribution that were said; raises UsageError."""
    said = values(arguments, _HOST)
    return Path(said.get("root", "/")), said.get("distro")
