# SPDX-License-Identifier: GPL-2.0-or-later
"""What a verb is: its name, the words and options that it takes, and what it does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..config.settings import COMMON
from ..core.errors import UsageError
from .options import Arguments, Parser, add_settings, values

if TYPE_CHECKING:
    from .answers import Answer

#: More KERNEL_VERSIONs than anybody gives.
MANY = 1000
#: The settings for the host and the distribution that a verb is about.
_HOST = tuple(row for row in COMMON if row.name in ("root", "distro"))


class Request(ABC):
    """What a command line asks for; its attributes are the values that were given."""

    @abstractmethod
    def run(self) -> int:
        """Do it and return the exit status, one of core.exits; raises KdumpInitrdError."""


class Verb(Request):
    """One thing that a command does: a file in verbs/, and a row in the list there.

    Before run() it looks at nothing, and imports nothing that --help does not need.
    """

    #: The option that asks for it, without the dashes; a command may take it as a word.
    name: ClassVar[str]
    #: Usage lines, without the command's name.
    usage: ClassVar[Sequence[str]]
    #: What the help says about it.
    summary: ClassVar[str]
    #: The settings that it takes, by name, among the options that all verbs of its command share.
    takes: ClassVar[Collection[str]] = ()
    #: The largest number of KERNEL_VERSIONs.
    kernels: ClassVar[int] = 0
    #: What these words are, where they are not that.
    word: ClassVar[str] = "KERNEL"
    #: The hint for an option that it does not take.
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
    """A verb about a host: its root, and its distribution if that was given."""

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
class Question(HostVerb):
    """A word of kdump-initrd: a question about a host, whose answer programs can read, too."""

    json: bool = False

    usage: ClassVar[Sequence[str]] = ("[--json] [--root DIR] [--distro ID]",)

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb: its name is a word of its own."""
        rows = {row.name: row for row in _HOST}
        rows["root"] = replace(rows["root"], help="the root of the system that is asked about")
        add_settings(parser, [*rows.values()])
        parser.add_argument("--json", action="store_true", help="print the answer as JSON")

    @classmethod
    def read(cls, arguments: Arguments) -> Question:
        """See Verb."""
        return cls(*host_of(arguments), json=arguments.json)

    @property
    def command(self) -> tuple[str, ...]:
        """The words that ask for it."""
        root = () if self.is_here else ("--root", str(self.root))
        distro = () if self.distro is None else ("--distro", self.distro)
        json = ("--json",) if self.json else ()
        return ("kdump-initrd", self.name, *root, *distro, *json)

    @property
    def is_here(self) -> bool:
        """Whether it is about the system that it runs on."""
        return self.root == Path("/")

    def give(self, answer: Answer) -> int:
        """Print the answer, and return the exit status."""
        from .answers import give

        if answer.hints and not self.is_here:
            hints = [f"in {self.root}, not here:", *answer.hints]
            answer = replace(answer, hints=hints)
        return give(answer, command=self.command, as_json=self.json)


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
    """Add the option ``--NAME`` of a verb; without ``shape`` (argparse's) it is a switch."""
    shape = shape or {"action": "store_true"}
    parser.group("other verbs").add_argument(f"--{verb.name}", help=verb.summary, **shape)


def image_of(verb: type[Verb], arguments: Arguments) -> Path:
    """Return the image that is the value of a verb's option; raises UsageError if empty."""
    word: str = getattr(arguments, verb.name.replace("-", "_"))
    if not word:
        raise UsageError(f"--{verb.name}: the value is empty", hint="name an image")
    return Path(word)


def host_of(arguments: Arguments) -> tuple[Path, str | None]:
    """Return the root and the distribution that were given; raises UsageError."""
    said = values(arguments, _HOST)
    return Path(said.get("root", "/")), said.get("distro")
