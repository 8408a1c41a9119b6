# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - the lines of a file are what they are
"""The two files of kdump-utils: their paths, as they are shipped, and with every key."""

from __future__ import annotations

PEER = "kdump-utils"
CONF, SYSCONFIG = "etc/kdump.conf", "etc/sysconfig/kdump"
#: The settings of both files as the package brings them, for x86_64, with some of the comments.
SHIPPED_CONF = """\
# This file contains a series of commands to perform (in order) in the kdump
# kernel after a kernel crash in the crash kernel(1st kernel) has happened.
#
# Supported options:
#
# auto_reset_crashkernel <yes|no>
#raw /dev/vg/lv_kdump
#ext4 /dev/vg/lv_kdump
#nfs my.server.com:/export/tmp
auto_reset_crashkernel yes
path /var/crash
core_collector makedumpfile -l --message-level 7 -d 31
#core_collector scp
#extra_modules gfs2
#failure_action shell
"""
SHIPPED_SYSCONFIG = """\
# Kernel Version string for the -kdump kernel, such as 2.6.13-1544.FC5kdump
KDUMP_KERNELVER=""
KDUMP_COMMANDLINE=""
KDUMP_COMMANDLINE_REMOVE="hugepages hugepagesz slub_debug quiet log_buf_len swiotlb hugetlb_cma ignition.firstboot cma"
KDUMP_COMMANDLINE_APPEND="irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off udev.children-max=2 panic=10 acpi_no_memhotplug transparent_hugepage=never nokaslr hest_disable novmcoredd cma=0 hugetlb_cma=0 pcie_ports=compat"
FADUMP_COMMANDLINE_APPEND=""
KEXEC_ARGS="-s"
#KDUMP_BOOTDIR="/boot"
KDUMP_IMG="vmlinuz"
KDUMP_IMG_EXT=""
VMCORE_CREATION_NOTIFICATION="yes"
# KDUMP_STDLOGLVL=3
"""
#: Every key that can stand beside the others, with a value that asks for something.
EVERY_CONF = """\
auto_reset_crashkernel maybe
\text4\t UUID=03138356-5e61-4ab3-b58e-27507ac41937   # the crash disk
sshkey /root/.ssh/kdump_id_rsa
path "/crash dumps"
core_collector makedumpfile -c -d 17 --num-threads 4 --eppic rules
kdump_pre /usr/local/bin/pre
kdump_post /usr/local/bin/post
kdump_emergency /usr/local/bin/emergency
extra_bins /usr/bin/lftp
extra_modules gfs2  bnx2
failure_action halt
default poweroff
final_action poweroff
force_rebuild 1
force_no_rebuild 1
override_resettable 2
dracut_args --omit-drivers "cfg80211 snd" --add-drivers "ext2 ext3" --force-drivers=tg3 -v --install strace
fence_kdump_args -p 7410 -f auto
fence_kdump_nodes node1 node2
options loop max_loop=1
link_delay 20
disk_timeout 30
debug_mem_level 3
blacklist nouveau
"""
EVERY_SYSCONFIG = """\
KDUMP_KERNELVER=6.1.0
KDUMP_COMMANDLINE='ro root=LABEL=/'
KDUMP_COMMANDLINE_REMOVE="quiet zfcp.allow_lun_scan console"
KDUMP_COMMANDLINE_APPEND="irqpoll rd.memdebug=3 systemd.unit=x \\
  panic=60"
FADUMP_COMMANDLINE_APPEND="nr_cpus=16"
KEXEC_ARGS=--elf32-core-headers
KDUMP_BOOTDIR=/efi
KDUMP_IMG=Image
KDUMP_IMG_EXT=.gz
VMCORE_CREATION_NOTIFICATION=no
KDUMP_STDLOGLVL=4
KDUMP_SYSLOGLVL=4
KDUMP_KMSGLOGLVL=4
"""
