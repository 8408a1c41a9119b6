# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - the lines of a file are what they are
"""The file of kdump-tools: its path, as it is shipped, and with every key."""

from __future__ import annotations

PEER, NAME = "kdump-tools", "etc/default/kdump-tools"
#: The settings of the package's file, some of its comments, and what is commented out.
SHIPPED = """\
# kdump-tools configuration
# ---------------------------------------------------------------------------
# USE_KDUMP - controls kdump will be configured
#     0 - kdump kernel will not be loaded
#     1 - kdump kernel will be loaded and kdump is configured
#
USE_KDUMP=1


# ---------------------------------------------------------------------------
# Kdump Kernel:
# KDUMP_KERNEL - A full pathname to a kdump kernel.
KDUMP_KERNEL=/var/lib/kdump/vmlinuz
KDUMP_INITRD=/var/lib/kdump/initrd.img

#         KDUMP_FAIL_CMD="echo 'makedumpfile FAILED.'; /bin/bash; reboot -f"
KDUMP_COREDIR="/var/crash"
#KDUMP_FAIL_CMD="reboot -f"
#KDUMP_DUMP_DMESG=
#MAKEDUMP_ARGS="-c -d 31"
#KDUMP_CMDLINE_APPEND="reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll usbcore.nousb"
#HOSTTAG="hostname|[ip]"
#NFS="<nfs mount>"
#SSH_KEY="<path>"
"""
EVERY = """\
USE_KDUMP=0
KDUMP_KERNEL=/boot/vmlinuz-kdump
KDUMP_INITRD=/boot/initrd-kdump
KDUMP_COREDIR="/srv/crash"
KDUMP_FAIL_CMD="echo 'makedumpfile FAILED.'; /bin/bash; reboot -f"
KDUMP_DUMP_DMESG=0
KDUMP_NUM_DUMPS=3
KDUMP_COMPRESSION=xz
MAKEDUMP_ARGS="-F -l -d 11,31 -X"
KDUMP_KEXEC_ARGS="--elf64-core-headers"
KDUMP_CMDLINE="root=/dev/sda1"
KDUMP_CMDLINE_APPEND="reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll usbcore.nousb"
HOSTTAG=hostname
NFS="remote:/var/crash"
NFS_TIMEO=1
NFS_RETRANS=1
NFS_MOUNT_RETRY=1
FTP="server:/path"
FTP_USER=me
FTP_PASSWORD='s3cret'
FTP_PORT=2121
SSH="me@server"
SSH_KEY=/root/key
SSH_KDUMP_RETRY=1
"""
