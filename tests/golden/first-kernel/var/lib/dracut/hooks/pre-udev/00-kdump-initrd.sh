@@ fedora opensuse-tumbleweed
# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# pre-udev hook of dracut: load the capture kernel. dracut sources its hooks, so this starts a
# process of its own, and nothing here may leave.
if [ -e /kdump-initrd/arm ]; then
	/kdump-initrd/lib/ld-linux-x86-64.so.2 --library-path /kdump-initrd/lib /kdump-initrd/bin/sh /kdump-initrd/arm </dev/null || :
fi
