# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The devices of a btrfs. Each has a superblock, which tells how many there are and which one it is;
# the kernel finds the others if they are named. What reads this has found one of them, `node`.
# needs: od timeout
# shellcheck disable=SC2154 # they share their variables

# Set `fsid`, `count` and `id` to what the superblock of a device says; fails where there is none
# (btrfs's on-disk format: fsid, magic and num_devices, and devid of dev_item).
read_superblock() { # NODE
	# shellcheck disable=SC2046 # a word for each byte, from 0x10020 on
	set -- $(timeout -s KILL 5 od -An -v -tx1 -j65568 -N177 "$1" 2>/dev/null)
	[ "$#" -eq 177 ] || return
	[ "${33}${34}${35}${36}${37}${38}${39}${40}" = 5f42485266535f4d ] || return
	fsid="$1$2$3$4$5$6$7$8$9${10}${11}${12}${13}${14}${15}${16}"
	count=$((0x${106}${105}))
	id=$((0x${171}${170}))
}

# Tell whether something else is made of a device: then that is what is meant.
is_taken() { # BLOCK
	for holder in "$1"/holders/*; do
		[ ! -e "$holder" ] || return 0
	done
	return 1
}

# Add the devices to `options`. Fails while some are missing, but not for ever: what is kept twice
# can be mounted without them.
find_parts() {
	options=$KDUMP_MOUNT_OPTIONS
	read_superblock "$node" || return 0
	whose=$fsid
	total=$count
	[ "$total" -gt 1 ] || return 0
	ids=
	for block in /sys/class/block/*; do
		is_taken "$block" && continue
		read_superblock "/dev/${block##*/}" || continue
		[ "$fsid" = "$whose" ] || continue
		case "$ids " in
		*" $id "*) continue ;;
		esac
		ids="$ids $id"
		options=${options:+$options,}device=/dev/${block##*/}
	done
	# shellcheck disable=SC2086 # a word for each
	set -- $ids
	[ "$#" -lt "$total" ] || return 0
	missing="a device of $KDUMP_DEVICE ($# of $total are there)"
	most=20
	[ "$KDUMP_SETUP_TIMEOUT" -eq 0 ] || [ "$KDUMP_SETUP_TIMEOUT" -ge 40 ] ||
		most=$((KDUMP_SETUP_TIMEOUT / 2))
	uptime
	[ "$seconds" -ge $((KDUMP_STARTED + most)) ] || return
	options=$options,degraded
	remark "$missing did not appear: it is mounted without it (degraded)"
}
