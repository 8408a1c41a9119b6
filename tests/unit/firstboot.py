# SPDX-License-Identifier: GPL-2.0-or-later
"""The first kernel's hook in a folder of its own, with another kexec: what tests run it in."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kdump_initrd.core.resources import find_data, search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image.tree import Tree
from kdump_initrd.probe.distro import profiles
from kdump_initrd.recipes.firstkernel import payload
from kdump_initrd.recipes.firstkernel.loading import loading_of
from kdump_initrd.recipes.firstkernel.payload import Arming, Limits, Runner

LIMITS = Limits(80, 96, 128)
#: A kernel's longest command line, in bytes.
LONGEST = 2047
BUILT_IN = "panic=10 nr_cpus=1"
#: A kexec of the test: it keeps its words, says what it is told to, and loads if it is told to.
KEXEC = """\
#!/bin/sh
printf '%s\\n' "$@" >>calls
echo >>calls
[ "$2" != -u ] || { rm -f loads?; echo 0 >sys/kernel/kexec_crash_loaded; }
way=${2#-}
[ ! -e hangs ] || sleep 60
loaded=sys/kernel/kexec/crash_loaded
[ -e "$loaded" ] || loaded=sys/kernel/kexec_crash_loaded
[ ! -e "loads$way" ] || echo 1 >"$loaded"
cat "says$way" 2>/dev/null
[ -e lies ] || [ -e "loads$way" ]
"""


@functools.lru_cache
def render(
    line: str,
    append: str,
    inherit: tuple[str, ...] = ("as shipped",),
    modules: tuple[str, ...] = (),
    longest: int = LONGEST,
    machine: str = "x86_64",
    kexec: bytes = b"",
) -> str:
    """Return the hook's text, as for a root that has all its tools in static programs.

    ``kexec`` is what the program of that name says of itself.
    """
    tree = Tree()
    words = {"rm": ("/bin/rm",), "timeout": ("/usr/bin/timeout",),
             "kexec": (f"/{payload.HOME}/bin/kexec",), "sh": ("/bin/sh",)}  # fmt: skip
    anything = Path(__file__)
    arming = Arming(anything, anything, line, append, longest, modules, LIMITS)
    profile = profiles.load("linux", search_path=search_path("distros", root=Root()), root=Root())
    if inherit != ("as shipped",):
        profile = replace(profile, cmdline={**profile.cmdline, "inherit": inherit}, hardware={})
    runner = Runner(machine, words, loading_of(machine, kexec))
    payload.add_payload(tree, arming, runner, root=Root(), profile=profile)
    return tree[payload.HOME / "arm"].content.decode()


@dataclass(frozen=True)
class Outcome:
    """What a run of the hook has done: its log, the words of each kexec, and what it printed."""

    status: int
    log: list[str]
    calls: list[list[str]]
    left: bool
    printed: str

    @property
    def cmdline(self) -> str:
        """The capture kernel's command line, of the one and only call."""
        (call,) = self.calls
        return call[-1].removeprefix("--command-line=")


class Boot:
    """A kernel's /proc, /sys and /dev/kmsg in a folder, and the payload."""

    def __init__(self, top: Path, shell: list[str]) -> None:
        self.top = top
        self.shell = shell
        self.home = top / "kdump-initrd"
        for name in ("proc", "sys/kernel", "kdump-initrd/bin"):
            (top / name).mkdir(parents=True)
        for name in ("kernel", "initrd"):
            (self.home / name).write_text(name)
        self.write("kdump-initrd/bin/kexec", KEXEC).chmod(0o755)
        self.write("proc/uptime", "1.00 9.99\n")
        self.write("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet crashkernel=128M\n")
        self.write("sys/kernel/kexec_crash_size", f"{128 << 20}\n")
        self.write("sys/kernel/kexec_crash_loaded", "0\n")
        self.write("kmsg", "")
        self.write("loadss", "")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder."""
        path = self.top / name
        path.write_text(text)
        return path

    def script(self, text: str, seconds: str) -> Path:
        """Move the hook from the root to the folder, and what it reads beside it."""
        for name in ("kernelline.sh",):
            hook = find_data("hooks", name, root=Root())
            self.write(f"kdump-initrd/{name}", self.moved(hook.read_text()))
        return self.write("kdump-initrd/arm", self.moved(text).replace(" 30 ", f" {seconds} "))

    def moved(self, text: str) -> str:
        """Let the paths of a script begin in the folder."""
        # A file that stands for /dev/kmsg has to be appended to.
        text = text.replace(">/dev/kmsg", f">>{self.top}/kmsg")
        text = re.sub(r"/(?=(proc|sys/kernel|sys/hypervisor|kdump-initrd)/)", f"{self.top}/", text)
        return re.sub(r"/kdump-initrd$", f"{self.home}", text, flags=re.MULTILINE)

    def run(
        self,
        *,
        line: str = BUILT_IN,
        append: str = "",
        seconds: str = "30",
        inherit: tuple[str, ...] = ("as shipped",),
        modules: tuple[str, ...] = (),
        longest: int = LONGEST,
        machine: str = "x86_64",
        kexec: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run the hook."""
        text = render(line, append, inherit, modules, longest, machine, kexec)
        script = self.script(text, seconds)
        done = subprocess.run(
            [*self.shell, script], cwd=self.top, stdin=subprocess.DEVNULL, capture_output=True,
            env={"PATH": os.environ["PATH"], **(env or {})}, timeout=20, check=False, text=True,
        )  # fmt: skip
        calls = self.top / "calls"
        text = calls.read_text() if calls.exists() else ""
        return Outcome(
            status=done.returncode,
            log=(self.top / "kmsg").read_text().splitlines(),
            calls=[call.splitlines() for call in text.split("\n\n") if call],
            left=self.home.exists(),
            printed=done.stdout + done.stderr,
        )


def check(outcome: Outcome, *log: str) -> None:
    """Check the log, and what holds for every run: no failure, no word, no payload."""
    assert (outcome.status, outcome.printed, outcome.left) == (0, "", False)
    assert outcome.log == [*log]


def check_armed(outcome: Outcome) -> None:
    assert (outcome.status, outcome.printed, outcome.left) == (0, "", False)
    (line,) = outcome.log
    assert re.fullmatch(r"<5>kdump-initrd: armed in \d+ ms", line)
