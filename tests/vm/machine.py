# SPDX-License-Identifier: GPL-2.0-or-later
"""One machine in QEMU, driven from boot over the panic to its end, by deadlines."""

from __future__ import annotations

import os
import select
import shlex
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from .architectures import X86_64, Architecture
from .pace import Pace
from .phases import CAPTURE, DEADLINES
from .phases import Phase as Phase
from .qmp import Qmp, QmpError
from .tools import tool

#: Lines of the console that an exception shows.
_TAIL = 25
_PANIC = "Kernel panic - not syncing"
#: What is said at once before another kernel takes over.
_LAST_WORDS = (Phase.LOADED, Phase.CRASHED)


class MachineError(Exception):
    """What went wrong in which phase; the text has the last console lines and the log's path."""

    def __init__(self, what: str, phase: Phase, tail: str, log: Path) -> None:
        super().__init__(f"{what}\n{tail}\nconsole log: {log}")
        self.phase = phase
        self.tail = tail
        self.log = log


class PanicWithoutDump(MachineError):
    """The machine ended, or its capture kernel panicked, and no dump was saved."""


class Hang(MachineError):
    """A phase's deadline passed."""


class LostMachine(MachineError):
    """QEMU itself ended or failed."""


@dataclass(frozen=True)
class MachineConfig:
    """One machine and what it is expected to do.

    ``folder`` gets the console log; without ``kernel`` the first disk's boot loader starts the
    machine; ``token`` and ``speaker`` are what the first kernel's and
    the capture image's lines begin with; ``phases`` are the expected ones, of which the last one
    stands for the end by QMP's ``final`` reason if it is REBOOTED or OFF; ``deadlines`` overrides
    seconds of DEADLINES; ``more`` are further words for QEMU.
    """

    folder: Path
    kernel: Path | None
    initrd: Path | None
    append: str
    token: str
    speaker: str = "kdump-initrd"
    disks: tuple[Path, ...] = ()
    memory_mib: int = 1024
    architecture: Architecture = X86_64
    phases: tuple[Phase, ...] = CAPTURE
    final: str = "guest-reset"
    deadlines: Mapping[Phase, float] = field(default_factory=dict)
    more: tuple[str, ...] = ()

    @property
    def restarts(self) -> bool:
        """Whether a reset starts the machine again, in the same QEMU, or ends it."""
        return Phase.REBOOTED in self.phases[:-1]

    def argv(self, monitor: int) -> list[str]:
        """Return QEMU's command line; ``monitor`` is the descriptor of its QMP socket."""
        words = [str(tool("setpriv")), "--pdeathsig", "KILL", str(tool(self.architecture.program))]
        words += ["-nodefaults", "-no-user-config", "-display", "none"]
        words += ["-accel", "tcg,thread=multi", *self.architecture.words]
        words += ["-smp", str(self.architecture.processors)]
        words += ["-m", str(self.memory_mib), "-no-shutdown"]
        words += [] if self.restarts else ["-no-reboot"]
        words += ["-chardev", f"stdio,id=console,signal=off,logfile={self.folder / 'console.log'}"]
        words += ["-serial", "chardev:console"]
        words += ["-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "monitor,mode=control"]
        for disk in self.disks:
            words += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
        words += self.more
        if self.kernel is not None:
            words += ["-kernel", f"{self.kernel}", "-initrd", f"{self.initrd}"]
            words += ["-append", self.append]
        return words


@dataclass(frozen=True)
class Run:
    """What a machine left behind.

    ``reached`` is in seconds since QEMU's start, or since the state was loaded that it began with.
    ``paced`` are the seconds from the panic on that the host gave the machine (pace.py).
    """

    console: str
    reached: Mapping[Phase, float]
    paced: float
    log: Path

    def took(self, phase: Phase) -> float:
        """Return the seconds from the phase before to this one."""
        times = list(self.reached.items())
        index = [name for name, _ in times].index(phase)
        return times[index][1] - (times[index - 1][1] if index else 0.0)

    @property
    def restart_seconds(self) -> float:
        """Seconds from the panic to the end of the machine."""
        return self.reached[Phase.REBOOTED] - self.reached[Phase.CRASHED]


class Machine:
    """Runs one machine once. Used as a context manager, it leaves no QEMU behind.

    ``on_line`` gets each console line as it comes, ``on_phase`` each phase when it is reached.
    """

    def __init__(
        self,
        config: MachineConfig,
        *,
        on_line: Callable[[str], None] | None = None,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> None:
        self._config = config
        self._on_line = on_line or (lambda line: None)
        self._on_phase = on_phase or (lambda phase: None)
        self._log = config.folder / "console.log"
        self._slow = float(os.environ.get("KDUMP_TEST_SLOW", "1"))
        self._lines: list[str] = []
        self._fresh: deque[str] = deque()
        self._partial = b""
        self._reason: str | None = None
        self._heard = True  # something since the last reset
        self._reached: dict[Phase, float] = {}
        self._paced = 0.0
        self._markers = {
            Phase.ARMED: f"{config.speaker}: {config.architecture.armed} in ",
            Phase.BOOTED: f"{config.token} booted",
            Phase.LOADED: f"{config.token} loaded",
            Phase.CRASHED: _PANIC,
            Phase.CAPTURING: f"{config.speaker}: capturing",
            Phase.SAVED: f"{config.speaker}: saved /",
            Phase.RESTARTED: f"{config.token} booted",
            Phase.FOUND: f"{config.token} found /",
        }

    def __enter__(self) -> Machine:
        folder = self._config.folder
        folder.mkdir(parents=True, exist_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".old"))
        ours, theirs = socket.socketpair()
        with theirs:
            argv = self._config.argv(theirs.fileno())
            (folder / "command").write_text(shlex.join(argv) + "\n")
            with (folder / "qemu.stderr").open("wb") as stderr:
                self._qemu = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    pass_fds=[theirs.fileno()],
                )
        self._start = time.monotonic()
        assert self._qemu.stdout is not None
        self._stdout = self._qemu.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._qmp = Qmp(ours)
        self._qmp.negotiate()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._qmp.quit()
        try:
            self._qemu.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._qemu.kill()
            self._qemu.wait()
        self._qmp.close()
        self._stdout.close()

    def save(self, state: Path) -> None:
        """Keep the state of a machine that has gone through its phases; raises LostMachine."""
        try:
            self._qmp.save(state)
        except QmpError as error:
            self._lose(f"its state cannot be kept: {error}", self._config.phases[-1])

    def load(self, state: Path, *, since_crash: float) -> None:
        """Begin with the state of another one, of ``since_crash`` seconds after its panic.

        Raises LostMachine.
        """
        try:
            self._qmp.load(state)
        except QmpError as error:
            self._lose(f"its state cannot be loaded: {error}", self._config.phases[0])
        self._start = time.monotonic()
        self._reached[Phase.CRASHED] = -since_crash
        self._paced = since_crash

    def run(self) -> Run:
        """Go through all phases; raises PanicWithoutDump, Hang or LostMachine."""
        for phase in self._config.phases:
            if phase in _LAST_WORDS and not self._config.architecture.last_words:
                continue
            seconds = self._config.deadlines.get(phase, DEADLINES[phase]) * self._slow
            self._reach(phase, seconds)
            self._reached[phase] = time.monotonic() - self._start
            if phase is Phase.CRASHED:
                self._paced = 0.0
            self._on_phase(phase)
        return Run("\n".join(self._lines), dict(self._reached), self._paced, self._log)

    def _reach(self, phase: Phase, seconds: float) -> None:
        remaining, pace, last = seconds, Pace(), time.monotonic()
        while True:
            now = time.monotonic()
            given = pace.worth(now - last)
            last = now
            remaining -= given
            self._paced += given
            while self._fresh:
                line = self._fresh.popleft()
                if phase in self._markers and self._markers[phase] in line:
                    return
                # The image may quote the crashed kernel's last words.
                quoted = f"{self._config.speaker}: " in line
                if _PANIC in line and Phase.CRASHED in self._reached and not quoted:
                    self._listen(1)
                    text = line.partition(_PANIC)[2].strip(": ")
                    again = Phase.REBOOTED in self._reached
                    who = "the restarted system" if again else "the capture kernel"
                    self._fail(PanicWithoutDump, f"{who} panicked: {text}", phase)
            if self._reason is not None:
                self._ended(phase)
                return
            if self._qmp.closed or self._qemu.poll() is not None:
                self._listen(0)
                if not self._fresh and self._reason is None:
                    self._lose("QEMU ended by itself", phase)
                continue  # with its last words
            if remaining <= 0:
                self._fail(Hang, f"not {phase.value} within {seconds:g} s", phase)
            self._listen(remaining)

    def _ended(self, phase: Phase) -> None:
        reason = self._reason or ""
        if not reason.startswith("guest-"):
            self._fail(LostMachine, f"QEMU stopped the machine: {reason}", phase)
        if phase not in (Phase.REBOOTED, Phase.OFF):
            self._fail(PanicWithoutDump, f"{reason} while waiting for {phase.value}", phase)
        last = phase is self._config.phases[-1]
        expected = self._config.final if last else "guest-reset"
        if reason != expected:
            kind = LostMachine if Phase.SAVED in self._reached else PanicWithoutDump
            self._fail(kind, f"ended by {reason}, not by {expected}", phase)
        if not last:
            self._reason = None

    def _listen(self, seconds: float) -> None:
        # Wait for the console or the monitor, and take in what they say.
        select.select([self._stdout.fileno(), self._qmp.fileno()], [], [], min(seconds, 1.0))
        self._hear()
        for reason in self._qmp.endings():
            self._hear()
            # The firmware resets once more on the way: in silence, that is the same restart.
            if reason != "guest-reset" or self._heard:
                self._reason = self._reason or reason
            self._heard = False
        *lines, self._partial = self._partial.split(b"\n")
        for raw in lines:
            line = raw.decode(errors="replace").rstrip("\r")
            self._lines.append(line)
            self._fresh.append(line)
            self._on_line(line)

    def _hear(self) -> None:
        fresh = self._stdout.read() or b""
        self._partial += fresh
        self._heard = self._heard or fresh != b""

    def _lose(self, what: str, phase: Phase) -> None:
        stderr = (self._config.folder / "qemu.stderr").read_text(errors="replace")
        self._fail(LostMachine, f"{what}: {stderr.strip()}", phase)

    def _fail(self, kind: type[MachineError], what: str, phase: Phase) -> None:
        last = [*self._lines, self._partial.decode(errors="replace")][-_TAIL:]
        raise kind(f"{what} (phase {phase.value})", phase, "\n".join(last), self._log)
