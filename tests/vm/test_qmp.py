# SPDX-License-Identifier: GPL-2.0-or-later
"""What a monitor says, and each way in which it does not: by a socket that plays QEMU."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from . import qmp
from .qmp import Qmp, QmpError

Answer = Callable[[dict[str, Any]], "list[dict[str, Any]] | None"]


@contextmanager
def monitor(answer: Answer) -> Iterator[Qmp]:
    """Yield a monitor whose other end sends what ``answer`` makes of a command; None ends it."""
    ours, theirs = socket.socketpair()

    def play() -> None:
        with theirs, theirs.makefile("rwb", buffering=0) as stream:
            for line in stream:
                messages = answer(json.loads(line))
                if messages is None:
                    return
                for message in messages:
                    # In two pieces, as a stream may.
                    data = json.dumps(message).encode() + b"\r\n"
                    theirs.sendall(data[:9])
                    theirs.sendall(data[9:])

    player = threading.Thread(target=play)
    player.start()
    asking = Qmp(ours)
    try:
        yield asking
    finally:
        asking.close()
        player.join()


def returned(command: dict[str, Any], value: object) -> dict[str, Any]:
    return {"return": value, "id": command["id"]}


def test_an_answer_is_its_command_s_own() -> None:
    def answer(command: dict[str, Any]) -> list[dict[str, Any]]:
        stale = {"return": "another's", "id": command["id"] - 1}
        return [{"event": "STOP", "data": {}}, stale, returned(command, command["arguments"])]

    with monitor(answer) as asking:
        assert asking.ask("first", {"a": 1}) == {"a": 1}
        assert asking.ask("second") == {}


def test_endings_are_told_once_and_none_is_lost_on_an_answer() -> None:
    events = [
        {"event": "RESET", "data": {"guest": True, "reason": "guest-reset"}},
        {"event": "SHUTDOWN", "data": {"guest": True, "reason": "guest-shutdown"}},
    ]
    with monitor(lambda command: [*events, returned(command, "there")]) as asking:
        assert asking.endings() == []
        assert asking.ask("query-status") == "there"
        assert asking.endings() == ["guest-reset", "guest-shutdown"]
        assert asking.endings() == []


def test_a_refusal_has_qemu_s_words() -> None:
    def refuse(command: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"error": {"class": "GenericError", "desc": "no such"}, "id": command["id"]}]

    with monitor(refuse) as asking:
        with pytest.raises(QmpError, match=r"^query-nothing: refused: no such$"):
            asking.ask("query-nothing")
        assert not asking.closed


def test_an_early_end_is_no_time_out() -> None:
    with monitor(lambda command: None) as asking:
        with pytest.raises(QmpError, match=r"^query-status: QEMU ended$"):
            asking.ask("query-status")
        assert asking.closed
        # What comes after it does not wait for anybody.
        with pytest.raises(QmpError, match=r"^quit: QEMU ended$"):
            asking.ask("quit")


def test_silence_is_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "_ANSWER", 0.05)
    with monitor(lambda command: []) as asking:
        with pytest.raises(QmpError, match=r"^query-status: no answer in 0\.05 s$"):
            asking.ask("query-status")
        assert not asking.closed


def moving(*statuses: dict[str, Any]) -> Answer:
    """Return a QEMU whose state goes through these; the last one stays."""
    left = list(statuses)

    def answer(command: dict[str, Any]) -> list[dict[str, Any]]:
        if command["execute"] != "query-migrate":
            return [returned(command, {})]
        return [returned(command, left.pop(0) if len(left) > 1 else left[0])]

    return answer


def test_a_state_is_kept_when_qemu_says_so(tmp_path: Path) -> None:
    heard = []
    statuses = moving({}, {"status": "active"}, {"status": "completed"})

    def answer(command: dict[str, Any]) -> list[dict[str, Any]] | None:
        heard.append((command["execute"], command["arguments"]))
        return statuses(command)

    with monitor(answer) as asking:
        asking.save(tmp_path / "a state")
    (before, _), (command, arguments), *asked = heard
    assert (before, command) == ("migrate-set-capabilities", "migrate")
    assert arguments == {"uri": f"exec:cat >'{tmp_path}/a state'"}
    assert len(asked) == 3


def test_a_state_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    failed = moving({"status": "active"}, {"status": "failed", "error-desc": "no room"})
    reason = r"^migrate-incoming: failed: no room$"
    with monitor(failed) as asking, pytest.raises(QmpError, match=reason):
        asking.load(tmp_path / "state")


def test_a_state_that_takes_for_ever_is_a_time_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qmp, "_STATE", 0.1)
    active = moving({"status": "active"})
    reason = r"^migrate: still active after 0\.1 s$"
    with monitor(active) as asking, pytest.raises(QmpError, match=reason):
        asking.save(tmp_path / "state")
