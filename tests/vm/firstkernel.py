# SPDX-License-Identifier: GPL-2.0-or-later
"""The throw-away initrd of the regular kernel: load the capture kernel, then panic."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from .archive import Archive
from .tools import tool

_APPLETS = ("sh", "mount", "mkdir", "cat", "dd", "echo", "sleep", "poweroff", "tail")

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
for how in -s -c; do
    kexec -p $how /capture/kernel --initrd=/capture/initrd --command-line={append} 2>/tmp/kexec &&
        break
    say "kexec $how: $(tail -n 1 /tmp/kexec)"
done
[ "$(cat /sys/kernel/kexec_crash_loaded)" = 1 ] || give_up "the capture kernel is not loaded"
say loaded
echo 1 > /proc/sys/kernel/sysrq
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
    kernel: Path
    capture_initrd: Path
    append: str
    extra: str = ""


def write(target: Path, first: FirstKernel) -> int:
    """Write the uncompressed initrd to ``target`` and return its size in bytes."""
    append = first.append
    if "console=" not in append:
        append += " console=ttyS0"
    init = _INIT.format(token=first.token, extra=first.extra, append=shlex.quote(append))
    archive = Archive()
    archive.busybox(tool("busybox"), _APPLETS)
    archive.program("/bin/kexec", tool("kexec"))
    archive.content("/init", init.encode())
    archive.file("/capture/kernel", first.kernel)
    archive.file("/capture/initrd", first.capture_initrd)
    return archive.write(target)


def command_line(token: str, *, crashkernel_mib: int, more: str = "") -> str:
    """Return the regular kernel's command line; address randomisation stays on, as users have it.

    ``panic=-1`` ends the machine when the capture kernel is not there to take over.
    """
    words = f"console=ttyS0 crashkernel={crashkernel_mib}M panic=-1 kdump_token={token} {more}"
    return words.strip()
