# SPDX-License-Identifier: GPL-2.0-or-later
"""The machines that QEMU emulates, by architecture: one table of what differs between them."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Architecture:
    """What a machine of an architecture is for QEMU, for Debian and for its kernel.

    ``name`` is what uname -m says and ``debian`` the packages'; ``words`` are QEMU's for the
    machine and its processor, and ``program`` is QEMU's; ``console`` is the serial one, as the
    kernel calls it; ``reservation_mib`` is what a capture kernel always works in; ``both`` are
    words for both kernels' command lines, and ``capture`` those for the capture kernel alone;
    ``kexec`` are the calls by which a throw-away initrd loads it, the first that works;
    ``crasher`` is the processor that panics, and ``last_words`` tells whether the console shows
    what is said just before; ``user`` is QEMU's program that runs a Linux program;
    ``variant`` tells a machine from the usual one; ``armed`` is what our hook says there when it
    has loaded the capture kernel.
    """

    name: str
    debian: str
    program: str
    words: tuple[str, ...]
    console: str = "ttyS0"
    reservation_mib: int = 128
    processors: int = 1
    both: tuple[str, ...] = ()
    capture: tuple[str, ...] = ()
    kexec: tuple[str, ...] = ("-s", "-c")
    crasher: int = 0
    last_words: bool = True
    user: str = ""
    variant: str = ""
    armed: str = "armed"


X86_64 = Architecture("x86_64", "amd64", "qemu-system-x86_64", ("-cpu", "qemu64"))
# On a busy host the timer's interrupt may come too late: the kernel takes the IO-APIC for broken.
I386 = Architecture(
    name="i686",
    debian="i386",
    program="qemu-system-i386",
    words=("-cpu", "qemu32"),
    both=("no_timer_check",),
    kexec=("-c",),
    user="qemu-i386",
)
PPC64LE = Architecture(
    name="ppc64le",
    debian="ppc64el",
    program="qemu-system-ppc64",
    words=("-machine", "pseries", "-cpu", "POWER9"),
    console="hvc0",
    reservation_mib=384,
    kexec=("-c",),
    user="qemu-ppc64le",
)
# Without -i the purgatory takes the capture kernel's checksum, with its caches off: 80 s.
AARCH64 = Architecture(
    name="aarch64",
    debian="arm64",
    program="qemu-system-aarch64",
    words=("-machine", "virt,gic-version=2", "-cpu", "cortex-a72"),
    console="ttyAMA0",
    reservation_mib=256,
    capture=("nokaslr",),
    kexec=("-c -i",),
    user="qemu-aarch64",
)
#: A processor with all that QEMU can do: addresses of 52 bits with pages of any size, among others.
AARCH64_LPA2 = replace(
    AARCH64, words=("-machine", "virt,gic-version=3", "-cpu", "max"), variant="lpa2"
)
RISCV64 = Architecture(
    name="riscv64",
    debian="riscv64",
    program="qemu-system-riscv64",
    words=("-machine", "virt"),
    capture=("nokaslr",),
    kexec=("-c",),
    user="qemu-riscv64",
    armed="loaded",  # for a dump that lacks something
)
# Crashed by its first processor it does not get to the capture kernel in QEMU. The console gathers
# lines for half a second (drivers/s390/char/sclp_vt220.c).
S390X = Architecture(
    name="s390x",
    debian="s390x",
    program="qemu-system-s390x",
    words=("-machine", "s390-ccw-virtio", "-cpu", "max"),
    console="ttysclp0",
    reservation_mib=256,
    processors=2,
    kexec=("-s",),
    crasher=1,
    last_words=False,
    user="qemu-s390x",
)
