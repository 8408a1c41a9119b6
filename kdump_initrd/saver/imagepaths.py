# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are in our images: what is built, what runs there and the templates agree on it."""

from __future__ import annotations

#: The image's own folders: programs and hooks of ours, and their parameters.
LIB = "/usr/lib/kdump-initrd"
ETC = "/etc/kdump-initrd"
#: What is only there while it runs. Not below /run: a hook may mount something there.
RUN = LIB + "/run"
#: Where a target's file system is mounted.
MOUNT = "/kdump"
#: The parameters of the saver; the interpreter, its modules, and the script that starts it.
PARAMS = ETC + "/params.json"
PYTHON = "/usr/bin/python3"
PYTHON_ZIP = LIB + "/python.zip"
#: The files by which the saver talks with the hooks and with people.
PROGRESS = RUN + "/progress"
STATE = RUN + "/folder"
CONSOLE = "/dev/kmsg"
