# SPDX-License-Identifier: GPL-2.0-or-later
"""The first process of a capture image: what hooks do to it, under three shells, as process 1."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from .shells import REPO, SHELLS

pytestmark = pytest.mark.timeout(90)

_SHARED = ("functions.sh", "guard.sh", "launch.sh", "targets.sh", "ticker.sh")
#: Places of the machine, and what they are here.
_PLACES = {"/proc/sysrq-trigger": "sysrq", "/dev/kmsg": "kmsg", "/proc/uptime": "uptime"}
#: Seconds of the machine in a second here, and its second.
_PACE = 5
_FAST = {"read -r -t 1 ": f"read -r -t {1 / _PACE} ", "sleep 1 &": f"sleep {1 / _PACE} &"}
#: Seconds between two looks at a run.
_TURN = 0.02
_LIMITS = {"SETUP": "0", "STALL": "0", "": "0"}
#: What ends every process but its own and the first one.
_KILL_ALL = "kill -9 -1"


@dataclass(frozen=True)
class Ended:
    """What a run has left: what was said, what sysrq was told, the hooks that ran, and seconds."""

    said: list[str]
    sysrq: str
    ran: list[str]
    seconds: float

    def says(self, text: str) -> bool:
        return any(text in line for line in self.said)


class Capture:
    """A folder with the guard and hooks; run() starts it as the first process of a machine."""

    def __init__(self, top: Path, shell: list[str]) -> None:
        self.top = top
        self._shell = [shutil.which(shell[0]) or shell[0], *shell[1:]]
        self.lines: list[str] = []
        self.limits = dict(_LIMITS)
        self.action = "reboot"
        self.failure = "final"
        self.deadlines = ""
        self.pause = "nap() { :; }"  # at the end, for a machine that is restarting
        for name in ("lib/hooks", "run", "mount"):
            (top / name).mkdir(parents=True)
        for name in _SHARED:
            text = (REPO / "hooks" / name).read_text()
            for place, here in _PLACES.items():
                text = text.replace(place, str(top / here))
            for second, here in _FAST.items():
                text = text.replace(second, here)
            (top / "lib" / name).write_text(text)
        (top / "kmsg").touch()
        (top / "uptime").write_text("100.00 1.00\n")
        subprocess.run(["mkfifo", top / "lib/words"], check=True)

    def hook(self, name: str, text: str, *, limit: int = 0) -> None:
        """Add a hook, which notes that it runs."""
        path = self.top / "lib/hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {name} $KDUMP_REASON >>{self.top}/ran\n{text}\n")
        path.chmod(0o755)
        self.lines.append(f"run_hook {name} {limit}")

    def target(self, device: str) -> None:
        """Begin another target."""
        if any("KDUMP_DEVICE" in line for line in self.lines):
            self.lines += ["fi; leave_target"]
            self.lines += [f"export KDUMP_DEVICE={device}", "if enter_target; then :"]
        else:
            self.lines += [f"export KDUMP_DEVICE={device} KDUMP_LOG_ONLY=", "if :; then :"]

    def script(self) -> Path:
        """Write what /init is, without its mounts."""
        exports = {"LIB": "lib", "RUN": "run", "PROGRESS": "run/progress", "MOUNT": "mount"}
        lines = ["set -u", f"top={self.top}"]
        lines += [f"export KDUMP_{name}=$top/{value}" for name, value in exports.items()]
        lines += [f"export KDUMP_{name}_TIMEOUT={value}".replace("__", "_")
                  for name, value in self.limits.items()]  # fmt: skip
        lines += [f"export KDUMP_FINAL_ACTION={self.action} KDUMP_FAILURE_ACTION={self.failure}"]
        lines += ["KDUMP_WATCHDOGS=one"]
        lines += [f"KDUMP_FLOOR_RATE=4 KDUMP_DEADLINES={self.deadlines}"]
        # Lines of a file that is not a device are written over one another.
        lines += [f'. "$KDUMP_LIB/{name}.sh"' for name in ("functions", "guard", "targets")]
        lines += ["make_cages() { cages=; }", self.pause]
        lines += [f"warn() {{ printf '%s\\n' \"$*\" >>{self.top}/kmsg; }}"]
        lines += ["prepare_guard", *self.lines, "force_end"]
        path = self.top / "init"
        path.write_text("\n".join([*lines, ""]))
        return path

    def run(self, *before: str, seconds: float = 60) -> Ended:
        """Run it to its end, behind other words of a command line."""
        # Without its clock, that is after the end of this process, it would go on for ever.
        argv = [
            *("setpriv", "--pdeathsig", "KILL"),
            *(before or ("unshare", "-pfm", "--mount-proc", "--kill-child")),
            *self._shell,
            str(self.script()),
        ]
        last, took = time.monotonic(), 0.0
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
            try:
                while process.poll() is None:
                    now = time.monotonic()
                    # On a host that is busy the clock goes slowly: the hooks have no time either.
                    took += min(now - last, 2 * _TURN)
                    last = now
                    if took > seconds:
                        raise TimeoutError
                    # At once: an empty file is not a time.
                    (self.top / "clock").write_text(f"{100 + took * _PACE:.2f} 1.00\n")
                    with suppress(IsADirectoryError):
                        (self.top / "clock").rename(self.top / "uptime")
                    time.sleep(_TURN)
            finally:
                process.kill()
        ran = self.top / "ran"
        return Ended(
            (self.top / "kmsg").read_text().splitlines(),
            (self.top / "sysrq").read_text().replace("\n", ""),
            ran.read_text().splitlines() if ran.exists() else [],
            took * _PACE,
        )


@pytest.fixture(params=SHELLS, ids=" ".join)
def capture(request: pytest.FixtureRequest, tmp_path: Path) -> Capture:
    return Capture(tmp_path, request.param)


def test_hooks_run_in_order_and_without_delay(capture: Capture) -> None:
    for name in "abcdefgh":
        capture.hook(f"pre-mount/{name}", "sleep 0.01", limit=60 if name < "e" else 0)
    capture.hook("save/x", "exit 3")
    ended = capture.run()
    assert ended.ran == [*(f"pre-mount/{name}" for name in "abcdefgh"), "save/x"]
    assert ended.said == ["hook save/x: status 3"]
    assert ended.sysrq == "sub"
    assert ended.seconds < 5 * _PACE


HANGS = ["sleep 1000", "trap '' TERM; sleep 1000", "kill -STOP $$"]


@pytest.mark.parametrize("text", HANGS, ids=["hangs", "ignores TERM", "stops"])
def test_a_hook_that_hangs_costs_only_itself(capture: Capture, text: str) -> None:
    (capture.top / "run/mounted").touch()
    capture.limits["STALL"] = "2"
    capture.hook("pre-save/hangs", text, limit=3)
    # One without a limit, too.
    capture.hook("pre-save/hangs-without", text)
    capture.hook("save/10-saver", "")
    ended = capture.run()
    assert ended.ran == ["pre-save/hangs", "pre-save/hangs-without", "save/10-saver"]
    assert ended.said == [
        "hook pre-save/hangs: not done after 3 s: it is ended",
        "hook pre-save/hangs-without: no progress for 2 s: it is ended",
    ]
    assert ended.sysrq == "sub"


def test_processes_of_a_hook_end_with_it(capture: Capture) -> None:
    beat = f"while :; do echo . >>{capture.top}/beats; sleep 0.1; done"
    capture.hook("save/a", f"(trap '' TERM; {beat}) & (sleep 1000)", limit=1)
    capture.hook("save/b", f"rm -f {capture.top}/beats; sleep 0.3", limit=9)
    ended = capture.run()
    assert ended.ran == ["save/a", "save/b"]
    assert not (capture.top / "beats").exists()


def test_processes_that_are_stopped_hold_nothing(capture: Capture) -> None:
    (capture.top / "run/mounted").touch()
    capture.limits["STALL"] = "3"
    capture.hook("pre-save/stops", "kill -STOP -1; kill -STOP -1; kill -STOP $$", limit=3)
    capture.hook("save/10-saver", '[ -n "$KDUMP_REASON" ] || kill -STOP $$')
    ended = capture.run()
    assert ended.said == ["hook pre-save/stops: not done after 3 s: it is ended",
                          "no progress for 3 s: giving up"]  # fmt: skip
    assert ended.sysrq == "sub"


def test_memory_over_the_dump_file_system_is_taken_away(capture: Capture) -> None:
    mount = capture.top / "mount"
    cover = f"mount -t tmpfs none {mount}"
    capture.hook("mount/50-mount", f"{cover}; : >{mount}/disk")
    capture.hook("pre-save/covers", cover)
    capture.hook("save/10-saver", f"[ -e {mount}/disk ]")
    capture.hook("post-save/x", f"[ -e {mount}/disk ]")
    assert capture.run().said == []


def test_a_file_of_a_hook_does_not_fill_the_memory(capture: Capture) -> None:
    files = [capture.top / name for name in ("bound", "lifted", "copy")]
    write = "dd if=/dev/zero bs=1048576 count=9 of="
    capture.hook("pre-save/a", f"{write}{files[0]}", limit=60)
    capture.hook("pre-save/b", f"ulimit -f unlimited; {write}{files[1]}", limit=60)
    capture.hook("post-save/c", f"{write}{files[2]}", limit=60)
    ended = capture.run()
    assert [file.stat().st_size >> 20 for file in files] == [8, 9, 9]
    assert ended.said == ["hook pre-save/a: status 153"]


def test_no_signal_is_caught_where_the_shell_waits_by_itself(capture: Capture) -> None:
    # busybox 1.38 never returns from a `read` after one.
    capture.lines.append("trap >$top/traps")
    capture.lines.append("echo $timed >$top/timed")
    capture.run()
    timed = (capture.top / "timed").read_text().strip() == "yes"
    assert ("CHLD" in (capture.top / "traps").read_text()) is not timed


KILLERS = {
    "sleep": 'for s in /proc/[0-9]*/stat; do read -r l <$s; case $l in *"(sleep)"*)'
    " kill -9 ${l%% *};; esac; done",
    "all": _KILL_ALL,
}
KILLERS["stop sleep"] = KILLERS["sleep"].replace("-9", "-STOP")


@pytest.mark.parametrize("killer", KILLERS)
def test_no_process_that_is_killed_holds_the_end(capture: Capture, killer: str) -> None:
    (capture.top / "run/mounted").touch()
    capture.limits["STALL"] = "3"
    capture.hook("pre-save/kills", f"{KILLERS[killer]}\nsleep 0.2\n{KILLERS[killer]}", limit=20)
    capture.hook("save/10-saver", '[ -n "$KDUMP_REASON" ] || while :; do sleep 1000; done')
    ended = capture.run()
    assert ended.ran[0] == "pre-save/kills"
    assert ended.says("no progress for 3 s: giving up")
    assert ended.sysrq == "sub"


def test_a_saver_that_stalls_is_told_why_and_asked_for_the_rest(capture: Capture) -> None:
    (capture.top / "run/mounted").touch()
    capture.limits["STALL"] = "3"
    # It feeds the timer for a while first.
    feed = f"for i in 1 2 3 4 5; do echo $i 1<>{capture.top}/run/progress; sleep 0.2; done"
    capture.hook("save/10-saver", f'[ -n "$KDUMP_REASON" ] || {{ {feed}; sleep 1000; }}')
    for name in ("save/50-copy", "post-save/log", "umount/u", "final/f"):
        capture.hook(name, "")
    ended = capture.run()
    reason = "no progress for 3 s"
    assert ended.ran == ["save/10-saver", *(f"{name} {reason}" for name in (
        "save/10-saver", "post-save/log", "umount/u", "final/f"))]  # fmt: skip
    assert ended.said == [f"{reason}: giving up"]
    assert ended.seconds > 7


def test_a_mount_that_hangs_is_not_tried_again(capture: Capture) -> None:
    capture.limits["SETUP"] = "3"
    capture.hook("pre-mount/own", "sleep 0.4", limit=9)
    capture.hook("pre-mount/drivers", "sleep 1000")
    capture.hook("mount/50-mount", "sleep 1000")
    capture.hook("mount/60-more", "")
    capture.hook("pre-save/stage", "", limit=100)
    capture.hook("save/10-saver", "")
    ended = capture.run()
    reason = "no dump file system after 3 s"
    assert ended.ran == ["pre-mount/own", "pre-mount/drivers", "mount/50-mount",
                         f"pre-save/stage {reason}", f"save/10-saver {reason}"]  # fmt: skip
    assert ended.said == [f"hook pre-mount/drivers: {reason}: it is ended", f"{reason}: giving up"]


#: What a first target's hooks do, why that is no whole dump, and what the guard says of it.
FIRST = {
    "hangs": ("sleep 1000", "", "no dump file system after 4 s", True),
    "is missing": ('fail "it is not there"; exit 0', "", "it is not there", False),
    "is full": (": >$KDUMP_RUN/mounted", "no room", "no room", False),
    "says nothing": (": >$KDUMP_RUN/mounted", "", "has no whole dump", False),
}


@pytest.mark.parametrize("row", FIRST)
def test_the_next_target_has_its_own_time_and_files(capture: Capture, row: str) -> None:
    mount, why, reason, given_up = FIRST[row]
    words = '. "$KDUMP_LIB/functions.sh"; '
    failed = f"echo 67 >$KDUMP_RUN/saver; echo {why} >$KDUMP_RUN/why"
    saver = f"[ ! -e $KDUMP_RUN/mounted ] || {{ {failed}; }}"
    capture.limits["SETUP"] = "4"
    capture.target("one")
    capture.hook("mount/first", words + mount)
    capture.hook("save/10-saver", saver)
    capture.target("two")
    capture.hook(
        "mount/second", "[ ! -e $KDUMP_RUN/mounted ] && sleep 0.4 && : >$KDUMP_RUN/mounted"
    )
    asked = f'echo "$KDUMP_ATTEMPTS" >{capture.top}/attempts'
    capture.hook("save/11-saver", f"[ -e $KDUMP_RUN/mounted ] && {asked}; echo 0 >$KDUMP_RUN/saver")
    capture.lines.append("fi; leave_target; printf '%s\n' \"$KDUMP_ATTEMPTS\" >$top/all")
    ended = capture.run()
    late = f" {reason}" if given_up else ""
    assert ended.ran == ["mount/first", f"save/10-saver{late}", "mount/second", "save/11-saver"]
    assert [line for line in ended.said if "giving up" in line] == [
        f"{reason}: giving up"
    ] * given_up
    assert (capture.top / "attempts").read_text() == f"one: {reason}\n"
    assert (capture.top / "all").read_text() == f"one: {reason}\ntwo: has the dump\n"


def test_targets_behind_the_dump_get_little_time_for_the_log(capture: Capture) -> None:
    capture.target("one")
    capture.hook("save/10-saver", "echo 0 >$KDUMP_RUN/saver")
    for name, text in (("two", "sleep 1000"), ("three", "")):
        capture.target(name)
        tell = f'echo "$KDUMP_SAVED, $KDUMP_LOG_ONLY, $KDUMP_SETUP_TIMEOUT" >>{capture.top}/told'
        capture.hook(f"mount/{name}", f"{tell}; : >$KDUMP_RUN/mounted; {text}")
        capture.hook(f"umount/{name}", "")
    capture.lines.append("fi; leave_target")
    capture.failure = "poweroff"
    capture.hook("final/f", "", limit=9)
    ended = capture.run()
    assert (capture.top / "told").read_text() == "one, yes, 30\n" * 2
    late = "not done after 30 s"
    assert ended.ran == ["save/10-saver", "mount/two", f"umount/two {late}", "mount/three",
                         "umount/three", "final/f"]  # fmt: skip
    assert ended.said == [f"{late}: giving up"]
    assert ended.sysrq == "sub"


def test_no_log_goes_to_others_when_the_time_is_over(capture: Capture) -> None:
    capture.target("one")
    capture.hook("save/10-saver", "echo 0 >$KDUMP_RUN/saver")
    capture.lines.append("started=$((seconds - 9)); KDUMP_TIMEOUT=9")
    capture.target("two")
    capture.hook("mount/two", "")
    capture.lines.append("fi; leave_target")
    assert capture.run().ran == ["save/10-saver"]


@pytest.mark.parametrize(("status", "wanted"), [(0, "reboot"), (65, "poweroff")])
def test_a_failure_has_an_action_of_its_own(capture: Capture, status: int, wanted: str) -> None:
    capture.failure = "poweroff"
    capture.hook("save/10-saver", f"echo {status} >{capture.top}/run/saver")
    capture.hook("final/90-x", f'echo "$KDUMP_FINAL_ACTION" >{capture.top}/asked')
    ended = capture.run()
    assert (capture.top / "asked").read_text() == f"{wanted}\n"
    assert ("o" in ended.sysrq) == (wanted == "poweroff")


def test_watchdogs_are_told_that_it_goes_on(capture: Capture) -> None:
    pulse = "read -r x <$KDUMP_LIB/pulse"
    capture.hook("save/x", f"{pulse}; sleep 0.5; y=$x; {pulse}; [ $x -gt $y ]", limit=9)
    assert capture.run().said == []


def test_the_clock_goes_on_without_proc(capture: Capture) -> None:
    (capture.top / "run/mounted").touch()
    clock = capture.top / "uptime"
    taken = f"until mkdir {clock} 2>{capture.top}/said; do rm -f {clock}; done"
    capture.hook("save/x", taken, limit=9)
    capture.hook("save/y", "sleep 1000", limit=5)
    ended = capture.run()
    assert ended.said == ["hook save/y: not done after 5 s: it is ended"]


def test_the_overall_timer_ends_what_runs(capture: Capture) -> None:
    (capture.top / "run/mounted").touch()
    capture.limits[""] = "3"
    capture.hook("save/10-saver", '[ -n "$KDUMP_REASON" ] || sleep 1000')
    capture.hook("post-save/log", "sleep 1000", limit=2)
    ended = capture.run()
    assert ended.said == ["not done after 3 s: giving up",
                          "hook post-save/log: not done after 2 s: it is ended"]  # fmt: skip
    assert len(ended.ran) == 3


def test_a_saver_that_is_too_slow_is_ended(capture: Capture) -> None:
    (capture.top / "run/mounted").touch()
    # It makes progress, but was to be done by then.
    feed = (
        f"i=0; while :; do i=$((i + 1)); echo $i 105 1<>{capture.top}/run/progress; sleep 0.1; done"
    )
    capture.hook("save/10-saver", f'[ -n "$KDUMP_REASON" ] || {{ {feed}; }}')
    capture.limits["STALL"] = "9"
    ended = capture.run()
    assert ended.ran == ["save/10-saver", "save/10-saver slower than 4 MiB/s"]
    assert ended.said == ["slower than 4 MiB/s: giving up"]


def test_a_dump_has_the_time_that_it_takes_at_the_floor_rate(capture: Capture) -> None:
    (capture.top / "run/mounted").touch()
    capture.limits[""] = "3"
    capture.deadlines = "2"
    feed = f"for i in 1 2 3 4 5; do echo $i 106 1<>{capture.top}/run/progress; sleep 0.2; done"
    capture.hook("save/10-saver", f"{feed}; echo 0 >$KDUMP_RUN/saver")
    capture.hook("post-save/x", "sleep 1000", limit=60)
    ended = capture.run()
    assert ended.said == ["not done after 8 s: giving up"]
    assert ended.ran == ["save/10-saver", "post-save/x"]


def test_a_shell_has_no_limit(capture: Capture) -> None:
    (capture.top / "run/mounted").touch()
    capture.limits.update({"": "3", "STALL": "1"})
    capture.failure = "shell"
    capture.hook("final/10-shell", '[ "$KDUMP_SHELL" = yes ] && sleep 1')
    capture.hook("final/90-x", f'echo "$KDUMP_FINAL_ACTION" >{capture.top}/asked', limit=9)
    ended = capture.run()
    assert ended.ran == ["final/10-shell", "final/90-x"]
    assert ended.said == []
    assert (capture.top / "asked").read_text() == "reboot\n"


def test_time_of_hooks_with_a_limit_is_not_that_of_the_set_up(capture: Capture) -> None:
    capture.limits["SETUP"] = "2"
    capture.hook("pre-mount/network", "sleep 0.8", limit=9)
    capture.hook("mount/50-mount", f": >{capture.top}/run/mounted")
    ended = capture.run()
    assert ended.said == []


def test_without_processes_it_still_ends(capture: Capture) -> None:
    """A machine that can have no more of them: nobody but root is bound by that limit."""
    for name in ("save/a", "final/b"):
        capture.hook(name, "")
    for path in (capture.top, *capture.top.rglob("*")):
        shutil.chown(path, 65534, 65534)
    for parent in capture.top.parents[:3]:
        parent.chmod(0o755)
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    drop += ["--inh-caps", "-all", "--bounding-set", "-all", "prlimit", "--nproc=1"]
    ended = capture.run(*drop)
    assert ended.ran == []
    assert ended.sysrq == "sub"


@pytest.mark.parametrize(("action", "keys"), [("poweroff", "suob"), ("halt", "")])
def test_the_last_step_is_the_one_that_was_asked_for(
    capture: Capture, action: str, keys: str
) -> None:
    capture.action = action
    capture.hook("final/f", "exit 1")
    if action == "halt":
        with pytest.raises(TimeoutError):
            capture.run(seconds=2)
        assert (capture.top / "sysrq").read_text() == ""
        return
    ended = capture.run()
    assert ended.sysrq == keys
    assert ended.says("cannot be switched off: it is restarted")


@pytest.mark.parametrize("status", [0, 65])
def test_success_failure_and_emergency_have_hooks(capture: Capture, status: int) -> None:
    capture.hook("pre-save/a", "exit 3")
    capture.hook(
        "save/10-saver", f'echo "$KDUMP_HOOKS" >{capture.top}/told; echo {status} >$KDUMP_RUN/saver'
    )
    for stage in ("success", "emergency", "failure", "final"):
        capture.hook(f"{stage}/x", f"echo {stage} $1 >>{capture.top}/given")
    ended = capture.run()
    assert (capture.top / "told").read_text() == "pre-save/a: status 3\n"
    wanted = "success 0\nfinal 0\n" if status == 0 else "failure 1\nfinal 1\n"
    assert (capture.top / "given").read_text() == wanted
    assert ended.said == ["hook pre-save/a: status 3"]


def test_an_emergency_has_hooks(capture: Capture) -> None:
    (capture.top / "run/mounted").touch()
    capture.limits["STALL"] = "2"
    capture.hook("save/10-saver", '[ -n "$KDUMP_REASON" ] || sleep 1000')
    for stage in ("success", "emergency", "failure"):
        capture.hook(f"{stage}/x", "")
    reason = "no progress for 2 s"
    names = ("save/10-saver", "emergency/x", "failure/x")
    assert capture.run().ran == ["save/10-saver", *(f"{name} {reason}" for name in names)]
