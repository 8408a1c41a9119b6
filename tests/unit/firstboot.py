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

from kdump_initrd.config.settings import FirstKernelSettings
from kdump_initrd.core.resources import find_data, search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image.manifest import Manifest
from kdump_initrd.image.tree import Tree
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.distro.architectures import Kind
from kdump_initrd.probe.kernel.kernelimage import KernelImage
from kdump_initrd.recipes.firstkernel import payload
from kdump_initrd.recipes.firstkernel.captureline import CaptureLine, line_of
from kdump_initrd.recipes.firstkernel.capturepair import CapturePair
from kdump_initrd.recipes.firstkernel.kexeccall import loading_of
from kdump_initrd.recipes.firstkernel.objections import Limits
from kdump_initrd.recipes.firstkernel.payload import Arming, Runner

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


@dataclass(frozen=True)
class Wanted:
    """What the hook is rendered for; ``kexec`` is what the program of that name says of itself."""

    line: str = BUILT_IN
    append: str = ""
    inherit: tuple[str, ...] = ("as shipped",)
    modules: tuple[str, ...] = ()
    longest: int = LONGEST
    machine: str = "x86_64"
    kexec: bytes = b""
    remove: str = ""
    instead: str = ""

    @functools.cached_property
    def capture_line(self) -> CaptureLine:
        """What its command line is made from."""
        anything = Path(__file__)
        folders = search_path("distros", root=Root())
        profile = profiles.load("linux", search_path=folders, root=Root())
        if self.inherit != ("as shipped",):
            cmdline = {**profile.cmdline, "inherit": self.inherit}
            profile = replace(profile, cmdline=cmdline, hardware={})
        pair = CapturePair(
            kernel=anything,
            image=KernelImage(Kind.BZIMAGE, self.machine, "", 0, self.longest),
            config={},
            initrd=anything,
            manifest=Manifest("capture", "", cmdline=self.line, modules=self.modules),
        )
        settings = FirstKernelSettings(
            append_cmdline=self.append, remove_cmdline=self.remove, inherit_cmdline=self.instead
        )
        return line_of(pair, settings, profile)


@functools.lru_cache
def render(wanted: Wanted) -> str:
    """Return the hook's text, as for a root that has all its tools in static programs."""
    tree = Tree()
    words = {"mkdir": ("/bin/mkdir",), "rm": ("/bin/rm",), "timeout": ("/usr/bin/timeout",),
             "kexec": (f"/{payload.HOME}/bin/kexec",), "sh": ("/bin/sh",)}  # fmt: skip
    anything = Path(__file__)
    runner = Runner(wanted.machine, words, loading_of(wanted.machine, wanted.kexec))
    arming = Arming(anything, anything, wanted.capture_line, LIMITS)
    payload.add_payload(tree, arming, runner, root=Root())
    return tree[payload.HOME / "arm"].content.decode()


@dataclass(frozen=True)
class Outcome:
    """What a run of the hook has done: its log, the words of each kexec, and what it printed.

    ``here`` is the command line as this program makes it for the same machine.
    """

    status: int
    log: list[str]
    calls: list[list[str]]
    left: bool
    printed: str
    here: str

    @property
    def cmdline(self) -> str:
        """The capture kernel's command line, of the one and only call; both make the same."""
        (call,) = self.calls
        line = call[-1].removeprefix("--command-line=")
        assert line == self.here
        return line


class Boot:
    """A kernel's /proc, /sys and /dev/kmsg in a folder, and the payload."""

    def __init__(self, top: Path, shell: list[str]) -> None:
        self.top = top
        self.shell = shell
        self.home = top / "kdump-initrd"
        for name in ("proc/sys/kernel/random", "sys/kernel", "kdump-initrd/bin"):
            (top / name).mkdir(parents=True)
        for name in ("kernel", "initrd"):
            (self.home / name).write_text(name)
        self.write("kdump-initrd/facts", "by=first-kernel\nkernel=k\nimage=i\n")
        self.write("kdump-initrd/bin/kexec", KEXEC).chmod(0o755)
        self.write("proc/uptime", "1.00 9.99\n")
        self.write("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet crashkernel=128M\n")
        self.write("sys/kernel/kexec_crash_size", f"{128 << 20}\n")
        self.write("sys/kernel/kexec_crash_loaded", "0\n")
        self.write("proc/sys/kernel/random/boot_id", "a-boot\n")
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
        ours = r"(?<!\w)/(?=(proc|sys/kernel|sys/hypervisor|(run/)?kdump-initrd)(/|$))"
        return re.sub(ours, f"{self.top}/", text, flags=re.MULTILINE)

    def run(
        self, wanted: Wanted | None = None, *, seconds: str = "30",
        env: Mapping[str, str] | None = None, **said: object,
    ) -> Outcome:  # fmt: skip
        """Run the hook; ``said`` are fields of what is wanted."""
        wanted = replace(wanted or Wanted(), **said)  # type: ignore[arg-type]
        text = render(wanted)
        running = self.top / "proc/cmdline"
        here = os.fsdecode(running.read_bytes()) if running.exists() else ""
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
            here=wanted.capture_line.beside(here)[0],
        )


def check(outcome: Outcome, *log: str) -> None:
    """Check the log, and what holds for every run: no failure, no word, no payload."""
    assert (outcome.status, outcome.printed, outcome.left) == (0, "", False)
    assert outcome.log == [*log]


def check_armed(outcome: Outcome) -> None:
    assert (outcome.status, outcome.printed, outcome.left) == (0, "", False)
    (line,) = outcome.log
    assert re.fullmatch(r"<5>kdump-initrd: armed in \d+ ms", line)
