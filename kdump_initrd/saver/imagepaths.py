# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are in our images, for what builds them, the templates, and what runs in them."""

from __future__ import annotations

#: The image's own folders: programs and hooks of ours, and what they are told.
LIB = "/usr/lib/kdump-initrd"
ETC = "/etc/kdump-initrd"
#: What is there only while it runs. Not below /run: a hook may mount something there.
RUN = LIB + "/run"
#: Where the file system of a target is mounted; that of the root, until it is the root.
MOUNT = "/kdump"
SYSROOT = "/sysroot"
#: Kernel modules in the order of loading, and a folder of such lists by what is asked for.
MODULES = ETC + "/modules"
ON_DEMAND = ETC + "/on-demand"
#: For each target on layers a file by its number: what has to be assembled.
LAYERS = ETC + "/layers"
#: For each encrypted volume a file by its UUID, which comes with its key: how it is opened.
LUKS = ETC + "/luks"
#: What is packed until there is more memory.
SECOND_STAGE = LIB + "/second-stage.cpio.gz"
#: The interpreter, the saver with its modules, what starts it, and its parameters.
PYTHON = "/usr/bin/python3"
PYTHON_ZIP = LIB + "/python.zip"
STARTER = LIB + "/python"
PARAMS = ETC + "/params.json"
#: The files by which the saver talks with the hooks and with people.
PROGRESS = RUN + "/progress"
STATE = RUN + "/folder"
WHY = RUN + "/why"
#: What hooks want to have in the report, a line each.
REMARKS = RUN + "/remarks"
#: What is left in a thin pool below the file system, what its volume has of it, and the size of
#: that, in bytes.
POOL = RUN + "/pool"
CONSOLE = "/dev/kmsg"
#: Tells this image from all others: the SHA-256 of what is in it.
IMAGE_ID = ETC + "/image-id"
#: What a first kernel's initrd carries: a folder that no other initrd has.
PAYLOAD = "/kdump-initrd"
#: The first file of an image, and of the segment behind another's: what it is.
MANIFEST = PAYLOAD + "/manifest.json"
SEGMENT = PAYLOAD + "/segment.json"
