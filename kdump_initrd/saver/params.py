# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract between the generator and the saver: one record of records, written as JSON."""

from __future__ import annotations

from .codec.rows import WORDS
from .low.failure import SaverError
from .low.jsontext import JsonError, dumps, loads
from .store.naming import BESIDE, REPORT, UNFINISHED, expand

TYPE_CHECKING = False  # typing costs 40 ms of start-up in the capture kernel
if TYPE_CHECKING:
    from typing import Any

_WEEK = 7 * 24 * 3600
_SECONDS = (_WEEK, f"whole seconds from 0 (off) to {_WEEK} (a week)")
_COUNT = (1 << 30, f"a whole number from 0 (off) to {1 << 30}")
#: The words that a field may be, by its name.
CHOICES = {
    "format": ("kdump", "elf", "flat", "none"),
    "compress": WORDS,
    "verify": ("none", "sample", "full"),
    "final_action": ("reboot", "poweroff", "halt"),
    "failure_action": ("final", "reboot", "poweroff", "halt", "shell"),
}
#: The largest number that a field may be (0 is the smallest), and how that is said. More workers
#: than these are a slip of the finger.
RANGES = {
    "level": (31, "a level from 0 to 31"),
    "jobs": (4096, "a number of workers from 0 (one per processor) to 4096"),
    "keep_free": (1 << 60, "a percentage from 0 to 99, or a size as 512M"),
    "stall": _SECONDS,
    "overall": _SECONDS,
    "deadline": _SECONDS,
    "deadlines": _SECONDS,
    **dict.fromkeys(
        ("floor_rate", "keep", "max_age", "max_use", "loop_crashes", "loop_minutes"), _COUNT
    ),
}
#: What the dotted names of one target's fields begin with.
TARGET = "target"
_KINDS = {bool: "true or false", int: "a whole number", str: "a text"}
#: A time at which no two numbers of a name are the same: 2001-02-03 16:05:06 UTC.
_EXAMPLE = 981216306


class ParamsError(ValueError):
    """A parameter is unknown, of the wrong type, or out of its range; the text names it."""


class Record:
    """Fields with a default each: a class's annotations. A field may be a record, or a list."""

    def __init__(self, /, **values: object) -> None:
        """Set the fields given by name; raises ParamsError, which names the one that is wrong."""
        for name, value in values.items():
            setattr(self, name, self._typed(name, value))
        for name in self.fields():
            self._check(name)

    @classmethod
    def fields(cls) -> list[str]:
        """Return the names of the fields, in the order of the docstring."""
        return list(cls.__annotations__)

    def plain(self) -> dict[str, Any]:
        """Return the fields by name, as JSON can have them; each call makes new ones."""
        return {name: _plain(getattr(self, name)) for name in self.fields()}

    def _typed(self, name: str, value: object) -> object:
        if name not in self.fields():
            raise ParamsError(f"{name}: no such parameter")
        default = getattr(type(self), name)
        if not isinstance(default, tuple):
            return _typed(name, value, type(default))
        if not isinstance(value, (list, tuple)):
            raise ParamsError(f"{name}: expected a list, not {value!r}")
        kind = type(default[0]) if default else str
        return tuple([_typed(f"{name}[{at}]", each, kind) for at, each in enumerate(value)])

    def _check(self, name: str) -> None:
        value = getattr(self, name)
        if name in CHOICES and value not in CHOICES[name]:
            raise ParamsError(f"{name}: expected one of {', '.join(CHOICES[name])}, not {value!r}")
        if name in RANGES and not 0 <= value <= RANGES[name][0]:
            raise ParamsError(f"{name}: expected {RANGES[name][1]}, not {value}")


def _typed(name: str, value: object, kind: type) -> object:
    if issubclass(kind, Record) and isinstance(value, dict):
        try:
            return kind(**value)
        except ParamsError as error:
            raise ParamsError(f"{name}.{error}") from None
    if type(value) is not kind:
        raise ParamsError(f"{name}: expected {_KINDS.get(kind, 'an object')}, not {value!r}")
    return value


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.plain() if isinstance(value, Record) else value


class DumpParams(Record):
    """The dump itself.

    format     "kdump" (kdump-compressed), "elf" (sparse) or "flat" (kdump-compressed, flattened
               for streams); "none" for the kernel log alone
    compress   codec of the pages: "lzo", "snappy", "zstd", "zlib", "none"; "auto" takes the first
               that can be loaded here
    level      makedumpfile's -d, the sum of what is left out: 1 zero pages, 2 page cache, 4 page
               cache with private data, 8 user data, 16 free pages
    jobs       workers; 0 for one per processor
    verify     what of the finished dump is compared with memory: "none", "sample" or "full"
    collector  the program that writes the dump: the path of a makedumpfile, "" for the saver
               itself, which also does it when that program fails
    """

    format: str = "kdump"
    compress: str = "auto"
    level: int = 31
    jobs: int = 0
    verify: str = "sample"
    collector: str = ""

    def __init__(self, /, **values: object) -> None:
        """See Record."""
        super().__init__(**values)
        if self.collector and self.format == "flat":
            raise ParamsError("collector: makedumpfile cannot write the format 'flat'")


class NameParams(Record):
    """Names of what a crash leaves: strftime patterns of the crash time in UTC.

    directory    the crash's folder
    dump         the dump in it
    dmesg        the crashed kernel's log in it
    readme       a text file for people in it (SUSE's README.txt); "" for none
    capture_log  the capture kernel's own log in it: a plain name, no pattern; "" for none
    """

    directory: str = "%Y%m%d%H%M"
    dump: str = "dump.%Y%m%d%H%M"
    dmesg: str = "dmesg.%Y%m%d%H%M"
    readme: str = ""
    capture_log: str = ""

    def __init__(self, /, **values: object) -> None:
        """See Record."""
        super().__init__(**values)
        self._example("directory")
        taken = [REPORT, REPORT + BESIDE]
        files = {"dump": UNFINISHED, "dmesg": "", "readme": BESIDE}
        for field, suffix in files.items():
            if field == "readme" and not self.readme:
                continue
            name = self._example(field)
            for each in (name, name + suffix):
                if each in taken:
                    raise ParamsError(f"{field}: another file of the crash has that name: {each}")
            taken += [name, name + suffix]

    def _example(self, field: str) -> str:
        try:
            return expand(getattr(self, field), _EXAMPLE)
        except SaverError as error:
            raise ParamsError(f"{field}: {error}") from None


class LimitParams(Record):
    """When all is given up, and what comes last.

    stall           seconds without progress that are too many; 0 for ever
    overall         seconds for all of it; 0 for ever
    deadlines       what the targets have: these and the dump's at floor_rate may be more; 0 if not
    floor_rate      MiB of memory a second that are the least for saving; 0 for any rate
    final_action    what ends the capture kernel's life: "reboot", "poweroff" or "halt"
    loop_crashes    so many crashes before, in loop_minutes, are too many: only the log is saved
    failure_action  the same if no target has the whole dump; "final": the final action
    """

    stall: int = 180
    overall: int = 0
    deadlines: int = 0
    floor_rate: int = 4
    loop_crashes: int = 0
    loop_minutes: int = 60
    final_action: str = "reboot"
    failure_action: str = "final"


class TalkParams(Record):
    """The files by which the saver talks with what has started it; "" for none.

    progress  gets a new number with every bit of progress: it feeds the stall timer
    console   gets messages, as /dev/kmsg; without it they go to stderr
    state     gets the path of the crash's folder, for the hooks that follow
    why       gets the reason why there is no whole dump, one line
    """

    progress: str = ""
    console: str = ""
    state: str = ""
    why: str = ""


class TargetParams(Record):
    """One place for dumps.

    kind           how the image reaches it: the name of a module of the generator's targets/
    store          how the saver writes to it: the name of a file in saver/store
    device         what it is on, by a stable name: a device's path, UUID=, LABEL=, PARTUUID=, …
    fstype         the file system there
    mount_options  how that is mounted, besides rw
    mount          where that is mounted in the image: links below it lead nowhere else, and its
                   top is used if the folder cannot be; "" for a folder of this system
    folder         the folder on it that gets one folder per crash
    keep_free      per cent of the file system that the dump leaves free; from 100 on, bytes
    keep           where the dump has no room, crashes but so many of the newest may go; 0: none
    max_age        and those that are older than so many days; 0: none
    max_use        MiB that all crashes may take: more is no room, and any may go; 0: any size
    deadline       seconds for reaching and opening it; 0 for ever
    """

    kind: str = "block"
    store: str = "folder"
    device: str = ""
    fstype: str = ""
    mount_options: str = ""
    mount: str = ""
    folder: str = "/var/crash"
    keep_free: int = 5
    keep: int = 0
    max_age: int = 0
    max_use: int = 0
    deadline: int = 120

    @property
    def path(self) -> str:
        """The folder's path in this system."""
        return f"{self.mount.rstrip('/')}/{self.folder.lstrip('/')}" if self.mount else self.folder


class Params(Record):
    """What the image is to do. Every field of the records has its default here, and nowhere else.

    vmcore     the ELF core to save: /proc/vmcore, or a file on a host
    watchdogs  drivers of the hardware watchdogs to be kept from resetting the machine
    dump       the dump itself
    names      what the files of a crash are called
    limits     when all is given up, and what comes last
    talk       the files by which the saver talks with what has started it
    targets    places for the dump, in the order in which they are tried; there is one at least
    """

    vmcore: str = "/proc/vmcore"
    watchdogs: tuple[str, ...] = ()
    dump: DumpParams = DumpParams()
    names: NameParams = NameParams()
    limits: LimitParams = LimitParams()
    talk: TalkParams = TalkParams()
    targets: tuple[TargetParams, ...] = (TargetParams(),)

    def __init__(self, /, **values: object) -> None:
        """See Record."""
        super().__init__(**values)
        if not self.targets:
            raise ParamsError("targets: expected at least one")

    @classmethod
    def from_json(cls, text: str) -> Params:
        """Read what to_json wrote; raises ParamsError for anything else."""
        try:
            values = loads(text)
        except JsonError as error:
            raise ParamsError(f"parameters: {error}") from None
        if not isinstance(values, dict):
            raise ParamsError("parameters: expected a JSON object")
        return cls(**values)

    def changed(self, values: dict[str, Any], number: int | None = None) -> Params:
        """Return the record with other values, by dotted names as "dump.level".

        Those that begin with "target." are of the target of that number, or of all targets.
        Raises ParamsError.
        """
        plain = self.plain()
        targets = plain["targets"] if number is None else [plain["targets"][number]]
        for name, value in values.items():
            record, _, field = name.rpartition(".")
            for place in targets if record == TARGET else [plain.get(record, plain)]:
                place[field] = value
        return Params(**plain)

    def to_json(self) -> str:
        """Return the record as a JSON object, every field in it."""
        return dumps(self.plain())
