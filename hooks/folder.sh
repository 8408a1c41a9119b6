# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The crash's folder and names without Python: the same as naming.py, crashfolder.py and beneath.py
# of kdump_initrd/saver/store make. Nothing leads out of the dump file system.
# applets: date dd grep mkdir readlink tr

# Set `time` to that of the crash, in seconds since 1970; now, if VMCOREINFO does not tell. It lies
# before all memory, behind a note for each processor.
find_time() {
	time=$(dd if=/proc/vmcore bs=65536 count=64 2>/dev/null | grep -a -o '^CRASHTIME=[1-9][0-9]*$')
	# Take the first one, if it is a time at all.
	time=${time%%[!0-9A-Z=]*}
	time=${time#CRASHTIME=}
	[ -n "$time" ] && [ "${#time}" -le 12 ] && [ "$time" -le 253402300799 ] || time=$(date +%s)
}

# Set `name` to a pattern's name for that time; fails where that is not the name of one file.
expand() { # PATTERN
	name=$(date -u -d "@$time" "+$1" && echo .)
	name=${name%??}
	case $name in
	'' | . | .. | */*) return 1 ;;
	esac
}

# Set `plain` to a name that every file system takes, where there is one.
make_plain() { # NAME
	# A letter of several bytes is one letter.
	plain=$(printf %s "$1" | LC_ALL=C tr -d '\200-\277')
	plain=$(printf %s "$plain" | LC_ALL=C tr -c 'a-zA-Z0-9._-' -)
	plain=$(printf %.80s "$plain")
	while :; do
		case $plain in
		.*) plain=${plain#.} ;;
		*.) plain=${plain%.} ;;
		*) return ;;
		esac
	done
}

# Set `place` to a plain path below the mount point, whatever the links on the way say, and make
# what is missing; fails, with a reason in `error`, where there is something else in its place.
find_place() { # PATH
	place=$KDUMP_MOUNT
	left=$1/
	links=0
	while [ -n "$left" ]; do
		part=${left%%/*}
		left=${left#*/}
		next=$place/$part
		case $part in
		'' | .) ;;
		..) [ "$place" = "$KDUMP_MOUNT" ] || place=${place%/*} ;;
		*) enter || return ;;
		esac
	done
	case $place in
	*"
"*)
		error="not a path of a dump folder"
		return 1
		;;
	esac
}

enter() {
	if [ -L "$next" ]; then
		links=$((links + 1))
		error="Too many levels of symbolic links"
		[ "$links" -le 40 ] || return
		# With what a name may end with.
		target=$(readlink -n "$next" && echo /)
		case $target in
		/*) place=$KDUMP_MOUNT ;;
		esac
		left=$target$left
	elif [ -d "$next" ]; then
		error="Invalid cross-device link"
		! is_mount_point "$next" || return
		place=$next
	elif [ -e "$next" ]; then
		error="Not a directory"
		return 1
	else
		error=$(mkdir -m 755 "$next" 2>&1) || return
		place=$next
	fi
}

is_mount_point() { # PATH
	while read -r _ point _; do
		[ "$point" != "$1" ] || return 0
	done </proc/mounts
	return 1
}

# Tell whether no other name or place would help.
is_hopeless() {
	case $error in
	*"No space left on device"* | *"uota exceeded"* | *"ead-only file system"*) ;;
	*) return 1 ;;
	esac
}

# Set `folder` to a new folder of a name in `place`, NAME-2 and so on where it is there already.
make_numbered() { # NAME
	folder=$place/$1
	number=1
	while :; do
		if [ ! -e "$folder" ] && [ ! -L "$folder" ]; then
			error=$(mkdir -m 700 "$folder" 2>&1) && return
			[ -e "$folder" ] || return
		fi
		number=$((number + 1))
		folder=$place/$1-$number
		if [ "$number" -gt 1000 ]; then
			# One that nobody can have foreseen.
			read -r folder _ </proc/uptime
			folder=$place/$1-${folder%.*}${folder#*.}
			[ "$number" -le 1100 ] || return
		fi
	done
}

make_in_place() {
	if expand "$KDUMP_DUMP_FOLDER"; then
		make_numbered "$name" && return
		! is_hopeless || return
		make_plain "$name"
		[ -z "$plain" ] || [ "$plain" = "$name" ] || ! make_numbered "$plain" || return 0
	fi
	make_numbered "crash-$time"
}

# Set `folder` to a new folder for the crash; fails, with a reason in `error`, where there is none.
make_folder() {
	if find_place "$KDUMP_FOLDER"; then
		! make_in_place || return 0
	fi
	! is_hopeless || return
	warn "$KDUMP_FOLDER: ${error##*: }: the top of the file system is used"
	place=$KDUMP_MOUNT
	make_in_place
}
