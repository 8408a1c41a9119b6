@@ almalinux amazon centos opensuse-leap redhat rhel rocky sles suse
# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# pre-udev hook of dracut: load the capture kernel. dracut sources its hooks, so this starts a
# process of its own, and nothing here may leave.
if [ -e /kdump-initrd/arm ]; then
@@ all but amazon opensuse-leap redhat
	/kdump-initrd/lib/ld-linux-x86-64.so.2 --library-path /kdump-initrd/lib /kdump-initrd/bin/sh /kdump-initrd/arm </dev/null || :
@@ amazon
	/kdump-initrd/lib/ld-linux-aarch64.so.1 --library-path /kdump-initrd/lib /kdump-initrd/bin/sh /kdump-initrd/arm </dev/null || :
@@ opensuse-leap
	/kdump-initrd/lib/ld-linux-x86-64.so.2 --library-path /kdump-initrd/lib /kdump-initrd/bin/busybox sh /kdump-initrd/arm </dev/null || :
@@ redhat
	/kdump-initrd/bin/busybox sh /kdump-initrd/arm </dev/null || :
@@ all
fi
