# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk that fails on demand, asked as QEMU asks it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from .nbd import Server, take

_SIZE = 1 << 20
_READ, _WRITE, _FLUSH = 0, 1, 3


class Client:
    """One connection to a server."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(server.socket))
        self._socket.settimeout(10)
        magic, option, _ = struct.unpack(">8s8sH", take(self._socket, 18))
        assert (magic, option) == (b"NBDMAGIC", b"IHAVEOPT")
        # Flags, then NBD_OPT_GO for the export without a name.
        self._socket.sendall(struct.pack(">I8sIIIH", 1, b"IHAVEOPT", 7, 6, 0, 0))
        *_, kind, length = struct.unpack(">QIII", take(self._socket, 20))
        self.size = struct.unpack(">HQH", take(self._socket, length))[1]
        assert (kind, take(self._socket, 20)[12:16]) == (3, struct.pack(">I", 1))

    def ask(self, kind: int, offset: int = 0, *, length: int = 0, data: bytes = b"") -> None:
        size = length or len(data)
        self._socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, kind, 7, offset, size) + data)

    def answer(self, length: int = 0) -> tuple[int, bytes]:
        """Return the error number, and so many bytes where there is none."""
        _, error, handle = struct.unpack(">IIQ", take(self._socket, 16))
        assert handle == 7
        return error, b"" if error else take(self._socket, length)

    def is_silent(self) -> bool:
        self._socket.settimeout(0.3)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(10)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(_SIZE))
    with Server(disk) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


def test_what_is_written_is_read(server: Server, client: Client) -> None:
    assert client.size == _SIZE
    client.ask(_WRITE, 4096, data=b"abc")
    assert client.answer() == (0, b"")
    client.ask(_FLUSH)
    assert client.answer() == (0, b"")
    client.ask(_READ, 4095, length=5)
    assert client.answer(5) == (0, b"\0abc\0")
    counts = server.counts
    assert (counts.reads, counts.writes, counts.flushes, counts.errors) == (1, 1, 1, 0)
    assert counts.written == [(4096, 4099)]


def test_errors_where_they_are_wanted(server: Server, client: Client) -> None:
    server.faults.bad = ((8192, 12288),)
    for offset, error in ((8191, 5), (12288, 0), (4096, 0)):
        client.ask(_WRITE, offset, data=b"xx")
        assert client.answer() == (error, b"")
    server.faults.failing = True
    client.ask(_FLUSH)
    assert client.answer()[0] == 5
    assert server.counts.errors == 2


def test_a_disk_that_is_stopped_is_silent_until_it_goes_on(server: Server, client: Client) -> None:
    server.faults.stopped = True
    client.ask(_READ, 0, length=1)
    assert client.is_silent()
    server.faults.stopped = False
    assert client.answer(1) == (0, b"\0")
