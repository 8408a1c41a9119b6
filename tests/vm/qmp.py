# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's machine protocol, as far as the tests need it: events, commands, and their answers."""

from __future__ import annotations

import json
import select
import shlex
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Seconds for an answer, and for a state to be written or read.
_ANSWER, _STATE = 60.0, 300.0


class QmpError(Exception):
    """QEMU refuses a command, ends before its answer, or does not answer in time: it says which."""


class Qmp:
    """One end of a monitor socket; only ask() and what is made of it wait."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = b""
        self._asked = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._endings: list[str] = []
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
        self._take()
        found, self._endings = self._endings, []
        return found

    def ask(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401
        """Give a command and return its answer; raises QmpError."""
        self._asked += 1
        self._send(command, arguments or {}, self._asked)
        end = time.monotonic() + _ANSWER
        while self._asked not in self._answers:
            remaining = end - time.monotonic()
            if self.closed:
                raise QmpError(f"{command}: QEMU ended")
            if remaining <= 0:
                raise QmpError(f"{command}: no answer in {_ANSWER:g} s")
            select.select([self._sock], [], [], remaining)
            self._take()
        answer = self._answers.pop(self._asked)
        if "error" in answer:
            raise QmpError(f"{command}: refused: {answer['error']['desc']}")
        return answer["return"]

    def save(self, state: Path) -> None:
        """Write the machine's state but for memory that is a shared file; it stands still then."""
        self._migrate("migrate", f"exec:cat >{shlex.quote(str(state))}")

    def load(self, state: Path) -> None:
        """Go on from a state, in a machine that waits for one (-incoming defer)."""
        self._migrate("migrate-incoming", f"exec:cat {shlex.quote(str(state))}")

    def _migrate(self, command: str, uri: str) -> None:
        capability = {"capability": "x-ignore-shared", "state": True}
        self.ask("migrate-set-capabilities", {"capabilities": [capability]})
        self.ask(command, {"uri": uri})
        end = time.monotonic() + _STATE
        while (status := (told := self.ask("query-migrate")).get("status")) != "completed":
            if status == "failed":
                raise QmpError(f"{command}: failed: {told.get('error-desc', 'no reason told')}")
            if time.monotonic() > end:
                raise QmpError(f"{command}: still {status} after {_STATE:g} s")
            time.sleep(0.05)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _take(self) -> None:
        # What QEMU has sent since the last time.
        try:
            while chunk := self._sock.recv(65536):
                self._buffer += chunk
            self.closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        *lines, self._buffer = self._buffer.split(b"\n")
        for message in map(json.loads, filter(None, map(bytes.strip, lines))):
            if message.get("event") in ("SHUTDOWN", "RESET"):
                self._endings.append(str(message["data"].get("reason", "unknown")))
            elif "id" in message:
                self._answers[message["id"]] = message

    def _send(
        self, command: str, arguments: Mapping[str, object] | None = None, number: int | None = None
    ) -> None:
        message: dict[str, object] = {"execute": command}
        message |= {} if arguments is None else {"arguments": arguments}
        message |= {} if number is None else {"id": number}
        try:
            self._sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.closed = True
