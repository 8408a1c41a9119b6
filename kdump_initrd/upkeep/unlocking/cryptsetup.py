# SPDX-License-Identifier: GPL-2.0-or-later
"""What cryptsetup does for us. No key is ever among its arguments: it reads files and a pipe."""

from __future__ import annotations

import re
from binascii import unhexlify
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.run import Result, run
from ..loading import lockedmemory

#: The fewest iterations of PBKDF2 that cryptsetup takes: a random key needs no stretching.
ITERATIONS = 1000
#: Seconds for a call: a passphrase may take some for each slot that it is tried in.
_PATIENCE = 300
#: What cryptsetup(8) ends with if no slot has the key.
_NO_PERMISSION = 2


def add(device: Path, key: Path, passphrase: bytes | Path) -> None:
    """Add a slot for the key in a file; ``passphrase`` opens another slot, or is a file that does.

    Raises KdumpInitrdError.
    """
    argv: list[str | Path] = ["cryptsetup", "luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2"]
    argv += ["--pbkdf-force-iterations", str(ITERATIONS)]
    if isinstance(passphrase, Path):
        argv += ["--key-file", passphrase]
        said = b""
    else:
        # It takes the first line.
        said = passphrase + b"\n"
    done = run([*argv, device, key], timeout=_PATIENCE, check=False, stdin=said)
    if done.status == _NO_PERMISSION:
        raise KdumpInitrdError(
            f"{device}: that passphrase opens no key slot",
            hint="type another one, or name a file with one",
        )
    _check(done, device, "no key slot could be added")


def opens(device: Path, slot: int, key: Path) -> bool:
    """Tell whether the key in a file opens a slot; nothing else is tried."""
    argv: list[str | Path] = ["cryptsetup", "open", "--test-passphrase", "--batch-mode"]
    argv += ["--key-slot", str(slot), "--key-file", key, device]
    done = run(argv, timeout=_PATIENCE, check=False)
    if done.status not in (0, _NO_PERMISSION):
        _check(done, device, f"key slot {slot} could not be tried")
    return done.status == 0


def prefer(device: Path, slot: int) -> None:
    """Let a slot of LUKS2 be tried before others, which may take a gigabyte and seconds."""
    argv: list[str | Path] = ["cryptsetup", "config", "--priority", "prefer"]
    done = run([*argv, "--key-slot", str(slot), device], timeout=_PATIENCE, check=False)
    _check(done, device, f"key slot {slot} could not be preferred")


def kill(device: Path, slot: int) -> None:
    """Take a slot away, which must not be the last one; raises KdumpInitrdError."""
    argv: list[str | Path] = ["cryptsetup", "luksKillSlot", "--batch-mode", device, str(slot)]
    done = run(argv, timeout=_PATIENCE, check=False)
    _check(done, device, f"key slot {slot} could not be taken away")


def volume_key(device: Path, key: Path) -> bytearray:
    """Return the volume's key, which the key in a file gives; raises KdumpInitrdError.

    The caller wipes it.
    """
    # Its new name is not known to cryptsetup before 2.4.
    argv: list[str | Path] = ["cryptsetup", "luksDump", "--dump-master-key", "--batch-mode"]
    done = run([*argv, "--key-file", key, device], timeout=_PATIENCE, check=False)
    if done.status == _NO_PERMISSION:
        raise KdumpInitrdError(
            f"{device}: the key in {key} opens no key slot",
            hint=f"kdump-initrd luks-enroll {device}",
        )
    _check(done, device, "its volume key could not be read")
    _, _, dump = done.stdout.partition(b"MK dump:")
    digits = re.sub(rb"[^0-9a-f]", b"", dump)
    found = bytearray(unhexlify(digits))
    lockedmemory.wipe(done.stdout, dump, digits)
    if not found:
        raise KdumpInitrdError(f"{device}: cryptsetup has printed no volume key")
    return found


def _check(done: Result, device: Path, what: str) -> None:
    if done.status:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.status}"]
        raise KdumpInitrdError(f"{device}: {what}: {reason[0]}")
