# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract between the generator and the saver: one flat record, written as JSON."""

from __future__ import annotations

from .low.failure import SaverError
from .low.jsontext import JsonError, dumps, loads
from .store.folder import BESIDE, REPORT, UNFINISHED, expand

TYPE_CHECKING = False  # typing costs 40 ms of start-up in the capture kernel
if TYPE_CHECKING:
    from typing import Union

    Value = Union[bool, int, str]

FORMATS = ("kdump", "elf", "flat")
VERIFY = ("none", "sample", "full")
CODECS = ("auto", "lzo", "snappy", "zstd", "zlib", "none")
MAX_LEVEL = 31
#: More workers than this are a slip of the finger.
MAX_JOBS = 4096
#: A time at which no two numbers of a name are the same: 2001-02-03 16:05:06 UTC.
_EXAMPLE = 981216306


class ParamsError(ValueError):
    """A parameter is unknown, of the wrong type, or out of its range; the text names it."""


class SaverParams:
    """What the saver is to do. Every field has its default here, and nowhere else.

    vmcore         the ELF core to save: /proc/vmcore, or a file on a host
    collector      the program that writes the dump: the path of a makedumpfile, "" for the saver
                   itself, which also does it when that program fails
    output         the folder that gets one folder a crash, on the mounted dump file system
    mount          the mount point of that, which output is below: links in it lead nowhere else,
                   and its top is used where output cannot be; "" for a folder of this system
    directory      name of the crash's folder, a strftime pattern of the crash time in UTC
    dump_name      name of the dump in it, likewise
    dmesg_name     name of the kernel log in it, likewise
    readme_name    name of a text file for people in it (SUSE's README.txt), likewise; "" for none
    dump_format    "kdump" (kdump-compressed), "elf" (sparse) or "flat" (kdump-compressed, flattened
                   for streams)
    dump_compress  codec of the pages: "lzo", "snappy", "zstd", "zlib", "none"; "auto" takes the
                   first that can be loaded here
    dump_level     makedumpfile's -d, the sum of what is left out: 1 zero pages, 2 page cache,
                   4 page cache with private data, 8 user data, 16 free pages
    jobs           workers; 0 for one a processor
    keep_free      per cent of the file system that the dump leaves free
    verify         what of the finished dump is compared with memory: "none", "sample" or "full"
    progress       a file that gets a new number with every bit of progress (it feeds the stall
                   timer), "" for none
    console        a file for messages, as /dev/kmsg; "" for stderr
    state          a file that gets the path of the crash's folder, for the hooks that follow;
                   "" for none
    """

    vmcore: str = "/proc/vmcore"
    collector: str = ""
    output: str = "/var/crash"
    mount: str = ""
    directory: str = "%Y%m%d%H%M"
    dump_name: str = "dump.%Y%m%d%H%M"
    dmesg_name: str = "dmesg.%Y%m%d%H%M"
    readme_name: str = ""
    dump_format: str = "kdump"
    dump_compress: str = "auto"
    dump_level: int = 31
    jobs: int = 0
    keep_free: int = 5
    verify: str = "sample"
    progress: str = ""
    console: str = ""
    state: str = ""

    def __init__(self, **values: Value) -> None:
        """Set the fields given by name; raises ParamsError for one that cannot be."""
        for name, value in values.items():
            self._set(name, value)
        self._check()

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the fields, in the order of the docstring."""
        return list(cls.__annotations__)

    @classmethod
    def from_json(cls, text: str) -> SaverParams:
        """Read what to_json wrote; raises ParamsError for anything else."""
        try:
            values = loads(text)
        except JsonError as error:
            raise ParamsError(f"parameters: {error}") from None
        if not isinstance(values, dict):
            raise ParamsError("parameters: a JSON object is wanted")
        return cls(**values)

    def to_json(self) -> str:
        """Return the record as a JSON object, every field in it."""
        return dumps({name: getattr(self, name) for name in self.names()})

    def _set(self, name: str, value: object) -> None:
        if name not in self.names():
            raise ParamsError(f"{name}: no such parameter")
        wanted = type(getattr(type(self), name))
        if type(value) is not wanted:
            raise ParamsError(f"{name}: {value!r} is not of type {wanted.__name__}")
        setattr(self, name, value)

    def _check(self) -> None:
        if self.dump_format not in FORMATS:
            raise ParamsError(f"dump_format: {self.dump_format!r} is not one of {FORMATS}")
        if self.collector and self.dump_format == "flat":
            raise ParamsError("collector: makedumpfile writes no dump_format 'flat' here")
        if self.dump_compress not in CODECS:
            raise ParamsError(f"dump_compress: {self.dump_compress!r} is not one of {CODECS}")
        if self.mount and not f"{self.output}/".startswith(self.mount.rstrip("/") + "/"):
            raise ParamsError(f"mount: {self.output!r} is not below {self.mount!r}")
        if self.verify not in VERIFY:
            raise ParamsError(f"verify: {self.verify!r} is not one of {VERIFY}")
        for name, most in (("dump_level", MAX_LEVEL), ("jobs", MAX_JOBS), ("keep_free", 99)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ParamsError(f"{name}: {value} is out of range (0 to {most})")
        self._check_names()

    def _check_names(self) -> None:
        self._example("directory")
        taken = [REPORT, REPORT + BESIDE]
        files = {"dump_name": UNFINISHED, "dmesg_name": "", "readme_name": BESIDE}
        for field, suffix in files.items():
            if field == "readme_name" and not self.readme_name:
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
