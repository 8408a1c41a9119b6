# SPDX-License-Identifier: GPL-2.0-or-later
"""/run/kdump-initrd/loaded: what is loaded, and by whom of ours (kdump-initrd-loaded(5)).

The hook of the first kernel's initrd writes it, and so does ``kdump-initrd load``. It counts only
in the boot that it was written in.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.publish import new_file
from ...core.root import Root
from ...recipes.firstkernel.loadedname import BY_HOOK, LOADED

#: Who has loaded it: the hook of the first kernel's initrd, or the running system.
HOOK, HERE = BY_HOOK, "load"
_BOOT_ID = "proc/sys/kernel/random/boot_id"
#: The largest file, in bytes: no command line has more.
_LARGEST = 1 << 16
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Loaded:
    """What was loaded: the SHA-256 of kernel, image and segment ("" for none), the command line.

    ``by`` is HOOK or HERE, ``uptime_ms`` the milliseconds since the kernel had started, as digits;
    ``lacks`` is what a dump will lack, and what to do about it, "" for nothing.
    """

    boot_id: str = ""
    uptime_ms: str = ""
    by: str = ""
    kernel: str = ""
    image: str = ""
    segment: str = ""
    lacks: str = ""
    cmdline: str = ""

    @property
    def is_known(self) -> bool:
        """Whether it tells what is loaded; it does not while that is going on, or if it was cut."""
        return all(map(_SHA256.fullmatch, (self.kernel, self.image)))

    def differences(self, other: Loaded) -> list[str]:
        """Return what of it is another in ``other``, in words."""
        names = {
            "kernel": "the capture kernel",
            "image": "the image",
            "segment": "what goes with the image",
            "cmdline": "the command line",
        }
        return [text for name, text in names.items() if getattr(self, name) != getattr(other, name)]

    def stamped(self, root: Root) -> Loaded:
        """Return it as of this moment of this boot."""
        now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
        return replace(self, boot_id=boot_id(root), uptime_ms=str(now))

    def save(self, root: Root) -> None:
        """Write it; raises KdumpInitrdError."""
        text = "".join(f"{each.name}={getattr(self, each.name)}\n" for each in fields(self))
        with new_file(_path(root), force=True) as new:
            new.write(os.fsencode(text))


def boot_id(root: Root) -> str:
    """Return what tells this boot from all others, "" where the kernel does not tell."""
    with suppress(OSError):
        return root.read_text(_BOOT_ID, limit=_LARGEST).strip()
    return ""


def load(root: Root) -> Loaded | None:
    """Return what was written in this boot, None if nothing was; raises PermissionError."""
    try:
        lines = os.fsdecode(root.read(LOADED, limit=_LARGEST)).splitlines()
    except PermissionError:
        raise
    except OSError:
        return None
    known = {each.name for each in fields(Loaded)}
    said = (line.partition("=") for line in lines)
    found = Loaded(**{name: value for name, _, value in said if name in known})
    return found if found.boot_id and found.boot_id == boot_id(root) else None


def forget(root: Root) -> None:
    """Remove it: nothing of ours is loaded any more."""
    _path(root).unlink(missing_ok=True)


@contextmanager
def alone(root: Root) -> Iterator[None]:
    """Let only one at a time load or unload.

    The file's folder exists in the block, and after it if there is something in it. Raises
    KdumpInitrdError where it cannot be made.
    """
    folder = _path(root).parent
    try:
        descriptor = _locked(folder)
    except OSError as error:
        raise KdumpInitrdError(
            f"{folder}: {error.strerror}", hint="it must be a writable folder"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()
        os.close(descriptor)


def _locked(folder: Path) -> int:
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The previous owner may have removed it.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
        os.close(descriptor)


def _path(root: Root) -> Path:
    return root.place(LOADED)
