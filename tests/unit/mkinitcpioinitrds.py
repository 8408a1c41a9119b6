# SPDX-License-Identifier: GPL-2.0-or-later
"""What mkinitcpio puts into its initrds, of both kinds."""

from __future__ import annotations

from .initrdwriter import file, folder, link

#: What mkinitcpio makes of its folder, in any case (functions: initialize_buildroot, parse_config).
SKELETON = (
    *(folder(name) for name in ("usr", "usr/lib", "usr/bin", "etc", "proc", "run", "sysroot")),
    link("bin", "usr/bin"), link("lib", "usr/lib"), link("sbin", "usr/bin"),
    link("new_root", "sysroot"), file("VERSION", b"39.2"), file("buildconfig", b"HOOKS=(base)\n"),
)  # fmt: skip
CONFIG = b'MODULES="ext4"\nEARLYHOOKS="udev"\nHOOKS="udev resume"\nLATEHOOKS=""\n'
BUSYBOX = (
    *SKELETON, file("config", CONFIG), folder("hooks"),
    file("hooks/udev", b"run_earlyhook() {\n\techo udev\n}\n", 0o755),
    file("init", b"#!/usr/bin/ash\n", 0o755), file("init_functions", b"# shell\n"),
    file("usr/bin/busybox", b"\x7fELF", 0o755),
)  # fmt: skip
#: The hooks base and systemd: what a rescue shell needs is there as well.
SYSTEMD = (
    *SKELETON, file("config", b'HOOKS=""\n'), file("init_functions", b"# shell\n"),
    folder("usr/lib/systemd"), folder("usr/lib/systemd/system"),
    file("init", b"\x7fELF", 0o755), file("usr/lib/systemd/systemd-udevd", b"\x7fELF", 0o755),
    *(file(f"usr/lib/systemd/system/{name}", b"[Unit]\nDescription=x\n")
      for name in ("initrd.target", "sysinit.target", "systemd-udevd.service",
                   "systemd-udev-trigger.service")),
)  # fmt: skip
