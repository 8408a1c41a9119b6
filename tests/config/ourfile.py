# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own configuration file with every key."""

from __future__ import annotations

#: Every key of the file.
EVERYTHING = """\
# what is to be built
[capture]
device = "UUID=4e1b"
fstype = "ext4"
path = "/crash"
python = "/usr/bin/python3.11"
collector = "makedumpfile"
dump-format = "elf"
dump-compress = "none"
dump-level = 17
jobs = 2
keep-free = "10%"
keep = 3
max-age = 30
max-use = 4096
loop-crashes = 2
loop-minutes = 30
verify = "full"
fsck = true
hook = ["pre-save:/usr/local/bin/pre", "success:/usr/local/bin/mail it"]
add-program = "/usr/bin/strace"
final-action = "poweroff"
failure-action = "halt"
setup-timeout = 60
stall-timeout = 0
timeout = "3600"
floor-rate = 1

[first-kernel]
capture-kernel = "6.1.0-plain"
append-cmdline = "console=ttyS0  quiet"
remove-cmdline = "hugepages libata.*"
inherit-cmdline = "loglevel=7"
standalone = true
root-device = "/dev/vda1"

[image]
hardware = ["virtio", "nvme"]
add-module = ["bnx2", "tg3"]
omit-module = "nouveau"
tools = "root"
compress = "xz"

[refresh]
images = ["capture"]
kernels = ["6.1", "6.12"]

[reserve]
crashkernel = "64M  192M,cma"
shrink = true
automatic = true
"""
