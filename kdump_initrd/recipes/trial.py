# SPDX-License-Identifier: GPL-2.0-or-later
"""The image's Python, tried on this host: it uses the image's own files, and no others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..core.run import run
from ..image.tree import Entry, Kind
from ..probe.programs import elffile
from ..probe.programs.searchpath import default_folders

logger = get_logger(__name__)

#: Seconds; it takes a tenth of one.
_TIMEOUT = 30.0
#: Where an image's Python cannot be tried: what the kernel does not load, and what is large.
_LEFT_OUT = (PurePosixPath("usr/lib/modules"), PurePosixPath("usr/lib/firmware"))
#: Imports each module, opens the codec, and tells what code is in memory.
_SCRIPT = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]  # without -P the current one is in it
codec = sys.argv[1]
for name in sys.argv[2:]:
    try:
        __import__(name)
    except BaseException as error:
        print("failed\\t%s\\t%s" % (name, error))
try:
    __import__("kdump_initrd.saver.codec.opening", fromlist=["open_codec"]).open_codec(codec, 4096)
except BaseException as error:
    print("failed\\tcodec %s\\t%s" % (codec, error))
with open("/proc/self/maps") as maps:
    for line in maps:
        words = line.split(None, 5)
        if len(words) == 6 and "x" in words[1] and words[5].startswith("/"):
            print("code\\t" + words[5].strip())
for module in list(sys.modules.values()):
    place = getattr(module, "__file__", None)
    if place:
        print("code\\t" + place)
print("done")
"""


@dataclass(frozen=True)
class Interpreter:
    """The image's Python: its path in the image, its version, and its environment.

    ``path`` is PYTHONPATH, ``library_path`` LD_LIBRARY_PATH; ``modules`` are to be imported.
    """

    python: PurePosixPath
    version: tuple[int, int]
    path: tuple[PurePosixPath, ...]
    library_path: tuple[PurePosixPath, ...]
    modules: tuple[str, ...]
    codec: str


def run_python(entries: Sequence[Entry], python: Interpreter) -> None:
    """Import every module and open the codec, with the image's loader, in a private folder.

    Raises KdumpInitrdError for what fails there, and if any code is the host's. If the host does
    not allow to try this, a warning says so.
    """
    parent = _folder()
    if parent is None:
        logger.warning(
            "the image's Python could not be tried: programs cannot run in any folder for "
            "temporary files (noexec): set TMPDIR to one where they can"
        )
        return
    with tempfile.TemporaryDirectory(prefix="kdump-initrd-", dir=parent) as folder:
        top = Path(folder)
        for entry in entries:
            _unpack(entry, top)
        try:
            result = run(
                _command(entries, python, top),
                timeout=_TIMEOUT,
                check=False,
                environment=_environment(python, top),
            )
        except KdumpInitrdError as error:
            logger.warning("the image's Python could not be tried: %s", error.message)
            return
    lines = result.stdout.decode(errors="replace").splitlines()
    last = next(reversed(result.stderr.strip().splitlines()), f"exit status {result.status}")
    if lines[-1:] != ["done"]:
        raise KdumpInitrdError(
            f"the image's Python does not start: {last}",
            hint=f"install {python.python.name} again with its libraries, or choose another "
            "with --python",
        )
    for line in lines:
        kind, _, rest = line.partition("\t")
        if kind == "failed":
            name, _, why = rest.partition("\t")
            raise KdumpInitrdError(
                f"the image's Python cannot use {name}: {why}",
                hint="install that Python's whole standard library again, or choose another "
                "with --python",
            )
        if kind == "code" and not _is_own(rest, top, entries):
            raise KdumpInitrdError(
                f"the image's Python takes {rest} from this host: the image lacks it",
                hint="choose another Python with --python",
            )


def _folder() -> str | None:
    """Return a folder for temporary files on a file system that allows programs, or None."""
    candidates = (tempfile.gettempdir(), "/var/tmp", "/var/cache", "/root")
    for each in candidates:
        try:
            allowed = not os.statvfs(each).f_flag & os.ST_NOEXEC and os.access(each, os.W_OK)
        except OSError:
            continue
        if allowed:
            return each
    return None


def _unpack(entry: Entry, top: Path) -> None:
    if any(folder in entry.dest.parents for folder in _LEFT_OUT):
        return
    path = top / entry.dest
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.kind is Kind.DIRECTORY:
        path.mkdir(exist_ok=True)
    elif entry.kind is Kind.FILE:
        path.write_bytes(entry.content)
        path.chmod(0o700 if entry.mode & 0o111 else 0o600)
    elif entry.kind is Kind.SYMLINK:
        # An absolute one begins at the top of the image.
        target = entry.target
        path.symlink_to(f"{top}{target}" if target.startswith("/") else target)


def _command(entries: Sequence[Entry], python: Interpreter, top: Path) -> list[str | Path]:
    """Return the command that starts Python as templates/python.j2 does, but by its loader."""
    program = top / python.python
    content = next(entry.content for entry in entries if entry.dest == python.python)
    elf = elffile.parse(content, str(python.python))
    words: list[str | Path] = []
    if elf.interpreter is not None:
        default = default_folders(elf.architecture, musl=elf.is_musls)
        folders = (*python.library_path, *default)
        path = ":".join(f"{top}{folder}" for folder in dict.fromkeys(folders))
        words = [top / elf.interpreter.lstrip("/"), "--library-path", path]
    flags = ["-S", "-s", "-B", *(["-P"] if python.version >= (3, 11) else [])]
    return [*words, program, *flags, "-c", _SCRIPT, python.codec, *python.modules]


def _environment(python: Interpreter, top: Path) -> dict[str, str]:
    return {
        "PYTHONHOME": f"{top}/usr",
        "PYTHONPATH": ":".join(f"{top}{folder}" for folder in python.path),
        "PYTHONHASHSEED": "0",
    }


def _is_own(path: str, top: Path, entries: Iterable[Entry]) -> bool:
    """Tell whether code is from the private folder, or the image has it at the same path.

    An RPATH may lead out of the folder, to the file on the host that was found for the image.
    """
    if path.startswith(f"{top}/"):
        return True
    try:
        content = Path(path).read_bytes()
    except OSError:
        return False
    name = PurePosixPath(path).name
    return any(each.dest.name == name and each.content == content for each in entries)
