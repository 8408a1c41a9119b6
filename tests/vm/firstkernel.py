# SPDX-License-Identifier: GPL-2.0-or-later
"""The throw-away initrd of the regular kernel: load the capture kernel, then panic."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from .architectures import Architecture
from .archive import Archive
from .kernels import Kernel

_APPLETS = ("sh", "mount", "mkdir", "cat", "dd", "echo", "sleep", "poweroff", "tail", "taskset")

# Each line of talk is one write to /dev/kmsg: the kernel's own lines cannot cut it in two, and
# it is in the log that the dump holds.
_INIT = """\
#!/bin/sh
export PATH=/bin
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
say() {{ echo "<2>{token} $*" > /dev/kmsg; }}
give_up() {{ say "failed: $*"; sleep 1; poweroff -f; }}
say booted
{extra}
for how in {calls}; do
    kexec -p $how /capture/kernel --initrd=/capture/initrd --command-line={append} 2>/tmp/kexec &&
        break
    say "kexec $how: $(tail -n 1 /tmp/kexec)"
done
[ "$(cat /sys/kernel/kexec_crash_loaded)" = 1 ] || give_up "the capture kernel is not loaded"
say loaded
echo 1 > /proc/sys/kernel/sysrq
taskset -p {mask} $$ > /tmp/said
echo c > /proc/sysrq-trigger
give_up "sysrq c did not panic"
"""


@dataclass(frozen=True)
class FirstKernel:
    """What goes into the initrd of the regular kernel.

    ``token`` marks the run; ``append`` is the capture kernel's command line, to which the
    serial console is added; ``extra`` are shell lines run between booted and loaded.
    """

    token: str
    kernel: Kernel
    capture_initrd: Path
    append: str
    extra: str = ""


def write(target: Path, first: FirstKernel) -> int:
    """Write the uncompressed initrd to ``target`` and return its size in bytes."""
    kernel, machine, append = first.kernel, first.kernel.architecture, first.append
    if "console=" not in append:
        append += f" console={machine.console}"
    init = _INIT.format(
        token=first.token,
        extra=first.extra,
        calls=" ".join(map(shlex.quote, machine.kexec)),
        append=shlex.quote(" ".join([append, *machine.both, *machine.capture])),
        mask=1 << machine.crasher,
    )
    archive = Archive()
    archive.busybox(kernel.program("busybox"), _APPLETS)
    archive.program("/bin/kexec", kernel.program("kexec"), kernel.programs)
    archive.content("/init", init.encode())
    archive.file("/capture/kernel", kernel.image)
    archive.file("/capture/initrd", first.capture_initrd)
    return archive.write(target)


def command_line(token: str, machine: Architecture, *, crashkernel_mib: int, more: str = "") -> str:
    """Return the regular kernel's command line; address randomisation stays on, as users have it.

    ``panic=-1`` ends the machine when the capture kernel is not there to take over.
    """
    words = f"console={machine.console} crashkernel={crashkernel_mib}M panic=-1"
    return " ".join([words, f"kdump_token={token}", *machine.both, more]).strip()
