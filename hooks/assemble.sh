# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a device may lie on: multipath, MD RAID and LVM, assembled by the root's own tools without udev.
# Who uses this sets `wanted`, the device's name, `limit`, the most seconds to wait for it (0 is for
# ever), `waited`, those that have passed, and `volumes`, the logical volumes that it lies on, "" if
# they are not known; `maps` is a file with the disks of several paths behind its second line, or "":
# if there are none, all that have them are joined.
# `untouched` is not "" where others than the device are to stay as they are. It
# says what find_node does; for encrypted volumes, what resolve and is_whole do, too.
# needs: env timeout
# shellcheck disable=SC2034,SC2154 # they share their variables

# What a tool has said last.
said=

# Run a tool of volumes and keep its last words.
tell() { # COMMAND...
	timeout -s KILL 60 env MDADM_NO_UDEV=1 DM_DISABLE_UDEV=1 "$@" </dev/null >/tmp/said 2>&1
	status=$?
	while read -r words || [ -n "$words" ]; do
		[ -z "$words" ] || said=${words%.}
	done </tmp/said
	return "$status"
}

# Tell whether it is time to do without the disks that are missing: two thirds have passed.
is_late() {
	patience=$limit
	[ "$patience" -gt 0 ] || patience=30
	[ "$waited" -ge $((patience * 2 / 3)) ]
}

# Set `wwid` to that of a disk; fails where it has none.
read_wwid() { # FOLDER
	for file in "$1/device/wwid" "$1/wwid"; do
		[ -r "$file" ] && read -r wwid <"$file" && [ -n "$wwid" ] && return 0
	done
	return 1
}

# Map a disk by its paths, each of which is used when those before it have failed. One that has not
# come in that many SECONDS is cut: one is enough. Without them nothing is done.
map_paths() { # NAME UUID COUNT WWID SECONDS
	paths=
	count=0
	for block in /sys/block/*; do
		if ! read_wwid "$block" || [ "$wwid" != "$4" ]; then continue; fi
		read -r number <"$block/dev"
		read -r size <"$block/size"
		paths="$paths round-robin 0 1 1 $number 1"
		count=$((count + 1))
		path=$block
	done
	[ "$count" -ge "$3" ] ||
		{ [ "$count" -gt 0 ] && [ -n "$5" ] && [ "$waited" -ge "$5" ]; } || return 0
	tell dmsetup create "$1" --noudevsync --uuid "$2" \
		--table "0 $size multipath 0 0 $count 1$paths" || return 0
	# The kernel has read the partitions of the path; a mapping has none of its own.
	for part in "$path"/*/partition; do
		[ -r "$part" ] || continue
		read -r number <"$part"
		read -r start <"${part%/*}/start"
		read -r size <"${part%/*}/size"
		tell dmsetup create "$1-part$number" --noudevsync --uuid "part$number-$2" \
			--table "0 $size linear /dev/mapper/$1 $start"
	done
}

# Map the disks that several paths lead to.
join_paths() {
	/usr/sbin/modprobe dm-multipath
	known=
	{
		read -r _
		read -r _
		while read -r name uuid number whose; do
			known=yes
			[ -e "/dev/mapper/$name" ] || map_paths "$name" "$uuid" "$number" "$whose" 5
		done
	} <"$maps"
	[ -n "$known" ] || join_all
	find_node
}

# Map every disk that two paths lead to, by the names that multipath gives them (scsi_id, page 0x83).
join_all() {
	for disk in /sys/block/*; do
		read_wwid "$disk" || continue
		whose=$wwid
		case $whose in
		naa.*) name=3${whose#naa.} ;;
		eui.*) name=2${whose#eui.} ;;
		*" "*) continue ;;
		*) name=$whose ;;
		esac
		[ -e "/dev/mapper/$name" ] || map_paths "$name" "mpath-$name" 2 "$whose" ""
	done
}

# Start the arrays whose disks are all there; when it is late those that can run without.
start_arrays() {
	/usr/sbin/modprobe md_mod
	# Arrays that nobody writes to are left as they are, and not resynchronised.
	[ -z "$untouched" ] || echo 1 >/sys/module/md_mod/parameters/start_ro
	how=--no-degraded
	if is_late; then
		how=--run
		# A dump goes even to one that was written to in the crash, and lacks a disk to be repaired: what
		# that had of those stripes is lost, whether it is started or not.
		dirty=/sys/module/md_mod/parameters/start_dirty_degraded
		if [ -n "$untouched" ] && [ -w "$dirty" ]; then echo 1 >"$dirty"; fi
		# These have been put together, and wait for the others.
		for array in /sys/block/md*; do
			state=
			[ ! -r "$array/md/array_state" ] || read -r state <"$array/md/array_state"
			[ "$state" != inactive ] || tell mdadm --run "/dev/${array##*/}"
		done
		find_node && return 0
	fi
	for table in /etc/mdadm.conf partitions; do
		[ "$table" = partitions ] || [ -e "$table" ] || continue
		tell mdadm --assemble --scan "$how" "--config=$table" '--homehost=<ignore>'
		find_node && return 0
	done
	return 1
}

run_lvm() { # COMMAND ARGUMENT...
	mode=complete
	! is_late || mode=degraded
	thin=
	[ -e /usr/sbin/thin_check ] || thin='thin_check_executable="" cache_check_executable=""'
	# Half a mirror must not be taken for a disk of its own, and nothing is to be left behind.
	tell lvm "$@" --config "devices { use_devicesfile=0 md_component_checks=\"full\" hints=\"none\"
		obtain_device_list_from_udev=0 external_device_info_source=\"none\" }
		global { locking_dir=\"/tmp\" event_activation=0 use_lvmlockd=0 use_lvmpolld=0 $thin }
		activation { udev_sync=0 udev_rules=0 monitoring=0 activation_mode=\"$mode\" }
		backup { backup=0 archive=0 }"
}

# Activate the volumes that are known to be needed, or else the one that turns out to be the device,
# and no other: udev of a root wants to see the others come.
activate_volumes() {
	/usr/sbin/modprobe dm_mod
	run_lvm lvs --noheadings --separator '|' --options lv_full_name,lv_path,lv_dm_path || return 1
	while IFS='|' read -r name path mapper; do
		# Warnings are not volumes, and a pool has no path.
		case $path in
		/dev/*) ;;
		*) continue ;;
		esac
		case ${volumes:-$wanted} in
		"$path") ;;
		/dev/*)
			case " ${volumes:-$wanted} " in
			*" $mapper "*) ;;
			*) continue ;;
			esac
			;;
		esac
		printf '%s\n' "${name##* }"
	done </tmp/said >/tmp/volumes
	said=
	while read -r name; do
		run_lvm lvchange --sysinit --activate y "$name" || continue
		find_node && return 0
		[ -n "$volumes" ] || run_lvm lvchange --sysinit --activate n "$name"
	done </tmp/volumes
	return 1
}

# Tell whether the running system has handed over how to open an encrypted volume.
has_keys() {
	for table in "$KDUMP_ETC"/luks/*; do
		[ ! -r "$table" ] || return 0
	done
	return 1
}

# Open the encrypted volumes by their own keys, which no program gets as an argument.
open_volumes() {
	/usr/sbin/modprobe dm-crypt
	for table in "$KDUMP_ETC"/luks/*; do
		[ -r "$table" ] || continue
		{
			read -r name
			read -r before
			read -r behind
		} <"$table"
		[ ! -e "/dev/mapper/$name" ] || continue
		# On one path of several, the others would be left out.
		if ! resolve "UUID=${table##*/}" || ! is_whole "$found"; then continue; fi
		printf '%s %s %s\n' "$before" "$found" "$behind" |
			DM_DISABLE_UDEV=1 timeout -s KILL 60 dmsetup create "$name" --noudevsync >/tmp/said 2>&1 ||
			read -r said </tmp/said
	done
	find_node
}

# Let no array be resynchronised, which would take time and memory from the dump: the next boot does
# it. Say which ones lack disks.
calm_arrays() {
	for array in /sys/block/md*/md; do
		[ -e "$array/sync_action" ] || continue
		echo frozen >"$array/sync_action"
		lacks=0
		[ ! -r "$array/degraded" ] || read -r lacks <"$array/degraded"
		name=${array%/md}
		[ "$lacks" -eq 0 ] || remark "MD RAID ${name##*/} runs without $lacks of its disks"
	done
}

# Measure the thin pool below a volume, in bytes: `left` is what the pool has left, `taken` is what the
# volume has taken of it so far, `whole` is the size of the volume. Fails where there is no thin pool.
measure_pool() {
	for uuid in /sys/block/dm-*/dm/uuid; do
		found=
		[ ! -r "$uuid" ] || read -r found <"$uuid"
		case $found in
		LVM-*-tpool) break ;;
		esac
	done
	[ "${found%-tpool}" != "$found" ] || return 1
	run_lvm lvs --noheadings --nosuffix --units b --separator '|' \
		--options lv_name,pool_lv,lv_size,data_percent || return 1
	pool=
	while IFS='|' read -r name its size per_cent; do
		if [ -z "$its" ] || [ -z "$per_cent" ]; then continue; fi
		pool=$its
		part "$size" "$per_cent"
		taken=$bytes
		whole=$size
	done </tmp/said
	while IFS='|' read -r name its size per_cent; do
		[ "${name##* }" = "$pool" ] || continue
		part "$size" "$per_cent"
		left=$((size - bytes))
		return 0
	done </tmp/said
	return 1
}

# Set `bytes` to that part of a size; of a per cent there are always two decimals.
part() { # SIZE PER_CENT
	bytes=$(((${2%.*} * 100 + 1${2#*.} - 100) * $1 / 10000))
}

# Try to make the device of what is there.
assemble() {
	case "$maps ${layers:-}" in
	/*" mpath"*) join_paths && return 0 ;;
	esac
	if [ -x /usr/sbin/mdadm ]; then
		start_arrays && return 0
	fi
	case " ${layers:-} " in
	*" luks "*) open_volumes && return 0 ;;
	esac
	[ -x /usr/sbin/lvm ] && activate_volumes
}
