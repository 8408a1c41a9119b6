# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The root's device: from its name to its node.
# needs: findfs sleep timeout tr
# shellcheck disable=SC2034,SC2154 # the parts share their variables

# Print TEXT without udev's \xNN.
unescape() { # TEXT
	rest=$1
	while :; do
		case $rest in
		*\\x[0-9a-fA-F][0-9a-fA-F]*) ;;
		*) break ;;
		esac
		before=${rest%%\\x[0-9a-fA-F][0-9a-fA-F]*}
		printf '%s' "$before"
		rest=${rest#"$before"\\x}
		code=${rest%"${rest#??}"}
		rest=${rest#??}
		# shellcheck disable=SC2059 # the format is the character
		printf "\\$(printf '%03o' "0x$code")"
	done
	printf '%s' "$rest"
}

# Give `root` the name that needs no udev.
name_root() {
	case $root in
	/dev/disk/by-uuid/*) root=UUID=${root##*/} ;;
	/dev/disk/by-label/*) root=LABEL=$(unescape "${root##*/}") ;;
	/dev/disk/by-partuuid/*) root=PARTUUID=${root##*/} ;;
	/dev/disk/by-partlabel/*) root=PARTLABEL=$(unescape "${root##*/}") ;;
	esac
	# The kernel takes them in capitals, blkid does not.
	case $root in
	PARTUUID=*) root=PARTUUID=$(printf '%s' "${root#PARTUUID=}" | tr A-F a-f) ;;
	esac
}

# Tell whether `root` is a name that can be found at all.
is_name() {
	case $root in
	/dev/nfs | /dev/disk/*) return 1 ;;
	/dev/?* | UUID=?* | LABEL=?* | PARTUUID=?* | PARTLABEL=?* | [0-9]*:[0-9]*) ;;
	*) return 1 ;;
	esac
}

# Set `node` to the block device that `root` names; fails where it is not there (yet).
find_node() {
	node=
	case $root in
	/dev/*) node=$root ;;
	[0-9]*:[0-9]*)
		[ -r "/sys/dev/block/$root/uevent" ] || return 1
		while IFS="=" read -r key value; do
			[ "$key" != DEVNAME ] || node=/dev/$value
		done <"/sys/dev/block/$root/uevent"
		;;
	# By its full path: a shell with applets of its own would not take the better findfs.
	*) node=$(BLKID_FILE=/dev/null timeout 10 /usr/sbin/findfs "$root" 2>/dev/null) || node= ;;
	esac
	[ -b "$node" ]
}

load_module() { # NAME
	/usr/sbin/modprobe "$1"
}

# Find the root's device, and assemble it if it does not come by itself; `why` says why not.
find_root() {
	is_mounted && return 0 # from the rescue shell
	if ! is_name; then
		why="root=$root: not the name of a block device"
		return 1
	fi
	plug
	find_node && return 0
	# A volume's name tells that it has to be assembled; where nothing tells, drivers get time.
	case $root in
	/dev/mapper/* | /dev/md* | /dev/*/*) expected=${expected:-volumes} ;;
	esac
	wanted=$root
	limit=$root_limit
	volumes=
	untouched=
	maps=
	uptime
	started=$seconds
	waited=0
	tried=-1
	while :; do
		if [ "$waited" -gt "$tried" ] && { [ -n "$expected" ] || [ "$waited" -ge 2 ]; }; then
			tried=$waited
			assemble && return 0
		fi
		sleep 0.1
		plug
		find_node && return 0
		uptime
		waited=$((seconds - started))
		[ "$limit" -eq 0 ] || [ "$waited" -lt "$limit" ] || break
	done
	why="root=$root did not appear in $root_limit s${said:+ ($said)}"
	return 1
}
