# SPDX-License-Identifier: GPL-2.0-or-later
"""Words for the option of each setting, and the value that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kdump_initrd.config.settings import ToolSource
from kdump_initrd.config.targetsettings import OF_TARGET, TargetSettings

#: A word for each option that takes one, and the value that it has then.
WORDS: dict[str, tuple[str, Any]] = {
    "device": ("/dev/sda1", "/dev/sda1"),
    "fstype": ("ext4", "ext4"),
    "target": ("LABEL=b", "LABEL=b"),
    "path": ("/dumps", "/dumps"),
    "deadline": ("30", 30),
    "layers": ("lvm", ("lvm",)),
    "python": ("/usr/bin/python3", "/usr/bin/python3"),
    "collector": ("makedumpfile", "makedumpfile"),
    "dump_format": ("elf", "elf"),
    "dump_compress": ("zstd", "zstd"),
    "dump_level": ("17", 17),
    "jobs": ("4", 4),
    "keep_free": ("10", 10),
    "keep": ("3", 3),
    "max_age": ("30", 30),
    "max_use": ("4096", 4096),
    "loop_crashes": ("2", 2),
    "loop_minutes": ("30", 30),
    "verify": ("full", "full"),
    "hooks": ("failure:/bin/true", ("failure:/bin/true",)),
    "programs": ("/bin/true", ("/bin/true",)),
    "final_action": ("halt", "halt"),
    "failure_action": ("poweroff", "poweroff"),
    "setup_timeout": ("9", 9),
    "stall_timeout": ("9", 9),
    "timeout": ("9", 9),
    "floor_rate": ("2", 2),
    "fsck": ("", True),
    "capture_initrd": ("capture.img", "capture.img"),
    "capture_kernel": ("6.1", "6.1"),
    "base": ("initrd.img", "initrd.img"),
    "in_place": ("", True),
    "append_cmdline": ("'console=ttyS0  debug'", "console=ttyS0 debug"),
    "remove_cmdline": ("'loglevel  libata.*'", "loglevel libata.*"),
    "inherit_cmdline": ("console=hvc0", "console=hvc0"),
    "standalone": ("", True),
    "root_device": ("/dev/sda2", "/dev/sda2"),
    "output": ("out.img", "out.img"),
    "root": ("/mnt", "/mnt"),
    "distro": ("rhel", "rhel"),
    "hardware": ("nvme,ahci", ("nvme", "ahci")),
    "add_modules": ("dm_mod", ("dm_mod",)),
    "omit_modules": ("nouveau", ("nouveau",)),
    "tools": ("root", ToolSource.ROOT),
    "compress": ("xz", "xz"),
    "force": ("", True),
    "dry_run": ("", True),
}


def with_option(said: Mapping[str, Any], name: str, value: object) -> dict[str, Any]:
    """Return what is said, a target among it, when an option behind that says ``value``, too."""
    if name == "target":
        return {**said, "targets": (*said["targets"], TargetSettings(str(value)))}
    if name not in OF_TARGET:
        return {**said, name: value}
    (target,) = said["targets"]
    return {**said, "targets": (replace(target, **{name: value}),)}
