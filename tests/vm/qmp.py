# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's machine protocol, as far as the tests need it: events, and the command to quit."""

from __future__ import annotations

import json
import socket


class Qmp:
    """One end of a monitor socket; it never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = b""
        self.closed = False

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._sock.fileno()

    def negotiate(self) -> None:
        """Ask for events; QEMU sends none before."""
        self._send("qmp_capabilities")

    def quit(self) -> None:
        """Ask QEMU to end."""
        self._send("quit")

    def endings(self) -> list[str]:
        """Read what QEMU has sent since the last call; return why the machine stopped or reset.

        The reasons are those of its SHUTDOWN and RESET events: "guest-shutdown", "guest-reset",
        "host-error" and so on.
        """
        try:
            while chunk := self._sock.recv(65536):
                self._buffer += chunk
            self.closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        *lines, self._buffer = self._buffer.split(b"\n")
        found = []
        for message in map(json.loads, filter(None, map(bytes.strip, lines))):
            if message.get("event") in ("SHUTDOWN", "RESET"):
                found.append(str(message["data"].get("reason", "unknown")))
        return found

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _send(self, command: str) -> None:
        try:
            self._sock.sendall(json.dumps({"execute": command}).encode() + b"\n")
        except OSError:
            self.closed = True
