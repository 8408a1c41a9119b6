# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of SUSE's kdump: its path, as it is shipped, and with every key."""

from __future__ import annotations

PEER, NAME = "suse-kdump", "etc/sysconfig/kdump"
#: What the package brings, with the comments of two keys.
SHIPPED = """\
## Path:        System/Kernel/Kdump
## Description: Crash Dump Configuration

## Type:\tstring
## Default:\t""
## ServiceRestart:\tkdump
#
# Kernel Version string for the -kdump kernel. Use an empty string to
# auto-detect a suitable kernel.
#
# See also: kdump(5).
#
KDUMP_KERNELVER=""

## Type:\tinteger
## Default:\t32
KDUMP_CPUS=32
KDUMP_COMMANDLINE=""
KDUMP_COMMANDLINE_APPEND=""
KDUMP_AUTO_RESIZE="false"
KDUMP_FADUMP="false"
KDUMP_FADUMP_SHELL="false"
KEXEC_OPTIONS=""
MAKEDUMPFILE_OPTIONS=""
KDUMP_IMMEDIATE_REBOOT="true"
KDUMP_TRANSFER=""
KDUMP_SAVEDIR="/var/crash"
KDUMP_KEEP_OLD_DUMPS=0
KDUMP_FREE_DISK_SIZE=64
KDUMP_VERBOSE=0
KDUMP_DUMPLEVEL=31
KDUMP_DUMPFORMAT="compressed"
KDUMP_CONTINUE_ON_ERROR="true"
KDUMP_REQUIRED_PROGRAMS=""
KDUMP_PRESCRIPT=""
KDUMP_POSTSCRIPT=""
KDUMP_NETCONFIG="auto"
KDUMP_NET_TIMEOUT=30
KDUMP_SMTP_SERVER=""
KDUMP_SMTP_USER=""
KDUMP_SMTP_PASSWORD=""
KDUMP_NOTIFICATION_TO=""
KDUMP_NOTIFICATION_CC=""
KDUMP_HOST_KEY=""
KDUMP_SSH_IDENTITY=""
KDUMP_CRASHKERNEL=auto
KDUMP_UPDATE_BOOTLOADER=true
"""
EVERY = """\
KDUMP_KERNELVER=6.4.0-default
KDUMP_CPUS=4
KDUMP_COMMANDLINE="root=/dev/sda1"
KDUMP_COMMANDLINE_APPEND="net_delay=20 rd.shell"
KDUMP_CRASHKERNEL=256M
KDUMP_UPDATE_BOOTLOADER=never
KDUMP_AUTO_RESIZE=yes
KDUMP_FADUMP=true
KDUMP_FADUMP_SHELL=1
FADUMP_COMMANDLINE_APPEND=nr_cpus=16
KEXEC_OPTIONS=--elf64-core-headers
MAKEDUMPFILE_OPTIONS="-X --num-threads=2"
KDUMP_IMMEDIATE_REBOOT=false
KDUMP_TRANSFER="/usr/bin/transfer"
KDUMP_SAVEDIR="file:///srv/crash"
KDUMP_KEEP_OLD_DUMPS=-1
KDUMP_FREE_DISK_SIZE=1024
KDUMP_VERBOSE=3
KDUMP_DUMPLEVEL=1
KDUMP_DUMPFORMAT=lzo
KDUMP_CONTINUE_ON_ERROR=false
KDUMP_REQUIRED_PROGRAMS="/usr/bin/lftp /bin/true"
KDUMP_PRESCRIPT=/bin/true
KDUMP_POSTSCRIPT=/bin/true
KDUMP_NETCONFIG=eth0:dhcp4:force
KDUMP_NET_TIMEOUT=0
KDUMP_SMTP_SERVER=smtp.example.com:25
KDUMP_SMTP_USER=me
KDUMP_SMTP_PASSWORD='s3cret $1'
KDUMP_NOTIFICATION_TO=me@example.com
KDUMP_NOTIFICATION_CC="a@example.com b@example.com"
KDUMP_HOST_KEY='*'
KDUMP_SSH_IDENTITY=/root/.ssh/id_kdump
KDUMPTOOL_FLAGS=NOSPLIT
KDUMP_COPY_KERNEL=maybe
"""
