# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that fails on demand: a server of the NBD protocol that stops answering, or has errors.

(https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md: fixed newstyle, and simple
replies.)
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

_MAGIC, _OPTION, _REPLY = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
_REQUEST, _SIMPLE = 0x25609513, 0x67446698
_EXPORT_NAME, _ABORT, _GO = 1, 2, 7
_ACK, _INFO, _UNSUPPORTED = 1, 3, 0x80000001
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_HAS_FLAGS, _READ_ONLY, _SEND_FLUSH = 1, 2, 4
_EIO, _EPERM = 5, 1


@dataclass
class Faults:
    """What is wrong with the disk, from now on; may be changed while it is in use.

    ``stopped``: nothing is answered. ``failing``: every write is an error. ``bad``: ranges of bytes
    (first, end) where writes are errors. ``rate``: bytes a second, 0 for as fast as it goes.
    ``read_only``: what the server says of the disk when it is connected.
    """

    stopped: bool = False
    failing: bool = False
    bad: tuple[tuple[int, int], ...] = ()
    rate: int = 0
    read_only: bool = False


@dataclass
class Counts:
    """What the disk was asked for."""

    reads: int = 0
    writes: int = 0
    flushes: int = 0
    errors: int = 0
    written: list[tuple[int, int]] = field(default_factory=list)


class Server:
    """Serves a file at a socket beside it, in threads of this process, until it is left."""

    def __init__(self, disk: Path, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.counts = Counts()
        self.socket = disk.with_suffix(".nbd")
        self._file = os.open(disk, os.O_RDWR | os.O_CLOEXEC)
        self._size = os.fstat(self._file).st_size
        self._ended = threading.Event()

    def __enter__(self) -> Server:
        self.socket.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        # A socket's name is short.
        folder = os.open(self.socket.parent, os.O_PATH | os.O_CLOEXEC)
        self._listener.bind(f"/proc/self/fd/{folder}/{self.socket.name}")
        os.close(folder)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._listener.close()
        self.socket.unlink(missing_ok=True)

    def words(self, *, device: str) -> tuple[str, ...]:
        """Return QEMU's words for the disk behind a device, as "scsi-hd,bus=bus.0"."""
        drive = f"driver=nbd,server.type=unix,server.path={self.socket},if=none,id=nbd"
        return ("-drive", f"{drive},cache=none", "-device", f"{device},drive=nbd")

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, suppress(OSError, EOFError):
            if self._negotiate(peer):
                while self._answer(peer):
                    pass

    def _negotiate(self, peer: socket.socket) -> bool:
        flags = _HAS_FLAGS | _SEND_FLUSH | (_READ_ONLY if self.faults.read_only else 0)
        peer.sendall(struct.pack(">QQH", _MAGIC, _OPTION, 1))
        take(peer, 4)
        while True:
            _, option, length = struct.unpack(">QII", take(peer, 16))
            take(peer, length)
            if option == _EXPORT_NAME:
                peer.sendall(struct.pack(">QH", self._size, flags) + bytes(124))
                return True
            if option == _GO:
                info = struct.pack(">HQH", 0, self._size, flags)
                peer.sendall(struct.pack(">QIII", _REPLY, option, _INFO, len(info)) + info)
                peer.sendall(struct.pack(">QIII", _REPLY, option, _ACK, 0))
                return True
            kind = _ACK if option == _ABORT else _UNSUPPORTED
            peer.sendall(struct.pack(">QIII", _REPLY, option, kind, 0))
            if option == _ABORT:
                return False

    def _answer(self, peer: socket.socket) -> bool:
        _, _, kind, handle, offset, length = struct.unpack(">IHHQQI", take(peer, 28))
        data = take(peer, length) if kind == _WRITE else b""
        while self.faults.stopped and not self._ended.is_set():
            time.sleep(0.05)
        if kind == _DISCONNECT or self._ended.is_set():
            return False
        if self.faults.rate and length:
            time.sleep(length / self.faults.rate)
        error, found = self._do(kind, offset, length, data)
        self.counts.errors += bool(error)
        peer.sendall(struct.pack(">IIQ", _SIMPLE, error, handle) + found)
        return True

    def _do(self, kind: int, offset: int, length: int, data: bytes) -> tuple[int, bytes]:
        if kind == _READ:
            self.counts.reads += 1
            return 0, os.pread(self._file, length, offset)
        if kind == _WRITE:
            self.counts.writes += 1
            if self.faults.read_only:
                return _EPERM, b""
            if self.faults.failing or overlaps(self.faults.bad, offset, offset + length):
                return _EIO, b""
            os.pwrite(self._file, data, offset)
            self.counts.written.append((offset, offset + length))
        if kind == _FLUSH:
            self.counts.flushes += 1
            return (_EIO if self.faults.failing else 0), b""
        return 0, b""


def overlaps(ranges: Iterable[tuple[int, int]], first: int, end: int) -> bool:
    """Tell whether one of the ranges has a byte of another."""
    return any(low < end and first < high for low, high in ranges)


def take(peer: socket.socket, length: int) -> bytes:
    """Read so many bytes; raises EOFError when the other end is closed."""
    parts = []
    while length:
        part = peer.recv(min(length, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
