# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The root: check and mount it, find its init, and leave for it. What fails says why in `why`.
# needs: cat insmod ln mkdir mount readlink rm sleep switch_root timeout umount
# applets: dmesg ls lsmod ps reboot setsid vi
# shellcheck disable=SC2034,SC2154 # the parts share their variables

load_modules() {
	while read -r file parameters; do
		insert "$file" "$parameters" || note "${file##*/}: ${error##*: }"
	done <"$KDUMP_ETC/modules"
}

is_mounted() {
	while read -r _ place _; do
		[ "$place" != "$mount" ] || return 0
	done </proc/mounts
	return 1
}

# Set `types` to the file systems that the root may be, the likely one first.
guess_types() {
	types=$root_types
	[ -z "$types" ] || return 0
	if [ -x /usr/sbin/blkid ]; then
		types=$(timeout 10 /usr/sbin/blkid -p -o value -s TYPE "$node" 2>/dev/null) || types=
	fi
	types=${types:-$built_type}
	while read -r first second; do
		# The others are of the kind "nodev".
		[ -n "$second" ] || types="$types $first"
	done </proc/filesystems
}

# Check the file system with the root's own program, as fsck(8) and systemd-fsck would.
check_root() {
	is_mounted && return 0
	guess_types
	check=/usr/sbin/fsck.${types%% *}
	[ "$check_mode" != skip ] && [ -x "$check" ] || return 0
	force=
	[ "$check_mode" != force ] || force=-f
	# No deadline: a check may take hours.
	"$check" "$check_repair" $force "$node"
	status=$?
	if [ $((status & 4)) -ne 0 ]; then
		why="$node: ${check##*/} has left errors (status $status): fsck.repair=yes repairs more"
		return 1
	elif [ $((status & 2)) -ne 0 ]; then
		warn "$node: ${check##*/} requires a restart"
		end_machine
	elif [ "$status" -gt 1 ]; then
		warn "$node: not checked: ${check##*/} ended with status $status"
	else
		# initramfs-tools' word for systemd-fsck-root.service: it need not be done again.
		mkdir -p /run/initramfs
		: >/run/initramfs/fsck-root
	fi
	return 0
}

mount_root() {
	is_mounted && return 0
	error=
	for type in $types; do
		if last=$(mount -t "$type" -o "$root_mode${root_flags:+,$root_flags}" "$node" "$mount" 2>&1); then
			say "root=$root: $node is mounted ($type, $root_mode)"
			return 0
		fi
		error=${error:-as $type: ${last##*: }}
	done
	why="root=$root: $node cannot be mounted $error"
	return 1
}

# Tell whether the root, by its own links, has a program of that name.
has_program() { # NAME
	path=
	rest=$1
	links=0
	while [ -n "$rest" ]; do
		part=${rest%%/*}
		case $rest in
		*/*) rest=${rest#*/} ;;
		*) rest= ;;
		esac
		case $part in
		'' | .) continue ;;
		..)
			path=${path%/*}
			continue
			;;
		esac
		if [ -L "$mount$path/$part" ] && [ "$links" -lt 40 ]; then
			links=$((links + 1))
			target=$(readlink "$mount$path/$part")
			rest=$target${rest:+/$rest}
			case $target in
			/*) path= ;;
			esac
		else
			path=$path/$part
		fi
	done
	[ -f "$mount$path" ] && [ -x "$mount$path" ]
}

# Set `init` to the root's first process.
find_init() {
	[ -z "$wanted_init" ] || has_program "$wanted_init" || warn "init=$wanted_init: not in the root"
	for init in "$wanted_init" /sbin/init /etc/init /bin/init /bin/sh; do
		has_program "$init" && return 0
	done
	why="root=$root: no init in it: name one by init="
	return 1
}

# Print the value of a number in /proc/sys/kernel: `read` would get its first digit only, since a
# shell reads byte by byte, and there is nothing behind the first read.
sysctl_of() { # NAME DEFAULT
	cat "/proc/sys/kernel/$1" 2>/dev/null || echo "$2"
}

# Say why the root cannot be used; come back after a shell, if one is wanted.
give_up() {
	warn "$why"
	# With `quiet` and the like the kernel does not show that.
	level=$(sysctl_of printk 7)
	[ "${level%%[!0-9]*}" -gt 3 ] || printf 'kdump-initrd: %s\n' "$why" >/dev/console
	if [ -n "$rescue" ]; then
		open_shell
		return
	fi
	delay=$(sysctl_of panic 0)
	if [ "$delay" -eq 0 ]; then
		say "waiting forever: panic=SECONDS restarts instead, kdump_initrd.shell opens a shell"
		while :; do sleep 3600; done
	fi
	if [ "$delay" -gt 0 ]; then
		say "restarting in $delay s, as panic= says"
		sleep "$delay"
	fi
	end_machine
}

open_shell() {
	say "rescue shell: mount the root at $mount; exit tries again"
	console=console
	if command -v setsid >/dev/null && read -r console _ </proc/consoles; then
		[ "$console" != tty0 ] || console=tty1
		# Only a terminal of its own lets it stop what runs.
		setsid sh -c "exec sh -i <>/dev/$console >&0 2>&1"
	else
		sh -i </dev/console >/dev/console 2>&1
	fi
}

# Leave the devices that were assembled here as udev would have: it takes what it meets at its
# start only by its own records (10-dm.rules, 69-lvm.rules).
hand_over() {
	for block in /sys/class/block/dm-* /sys/class/block/md*; do
		[ -r "$block/dev" ] || continue
		read -r number <"$block/dev"
		case ${block##*/} in
		dm-*)
			record=DM_UDEV_PRIMARY_SOURCE_FLAG=1
			read -r name <"$block/dm/name"
			rm -f "/dev/mapper/$name"
			ln -s "../${block##*/}" "/dev/mapper/$name"
			;;
		*) record=LVM_MD_PV_ACTIVATED=1 ;;
		esac
		mkdir -p /run/udev/data
		printf 'E:%s\n' "$record" >"/run/udev/data/b$number"
	done
}

# Give all to the root and become its init.
leave() { # ARGUMENT...
	hand_over
	for folder in /dev /run /sys /proc; do
		if [ ! -d "$mount$folder" ] || ! mount -o move "$folder" "$mount$folder"; then
			umount -l "$folder"
		fi
	done
	if [ -c "$mount/dev/console" ]; then
		exec <>"$mount/dev/console" >&0 2>&1
	fi
	exec switch_root "$mount" "$init" "$@"
}

boot() { # ARGUMENT...
	load_modules
	read_cmdline
	root=${root:-$built_root}
	name_root
	sleep "$root_delay"
	until find_root && check_root && mount_root && find_init; do
		give_up
	done
	leave "$@"
}
