# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's command line, as far as it is for /init: read_cmdline sets the variables below.
# shellcheck disable=SC2034,SC2154 # the parts share their variables

# The root's name; "" where the command line has none.
root=
# Its file systems, with blanks between; "" where they have to be found out.
root_types=
root_flags=
root_mode=ro
# Seconds to wait before anything is looked for, and the most to wait for the root: 0 is for ever.
root_delay=0
root_limit=30
wanted_init=
# fsck.mode=: auto, skip or force; and fsck.repair= in the words of fsck(8).
check_mode=auto
check_repair=-a
rescue=

# Set `number` to WORD if it is a whole number that every shell can reckon with.
is_number() { # WORD
	case $1 in
	'' | *[!0-9]* | ??????????*) return 1 ;;
	esac
	number=${1#"${1%%[!0]*}"} # 08 would be octal
	number=${number:-0}
}

# Print TEXT with FROM replaced by TO, wherever it is.
replace() { # TEXT FROM TO
	rest=$1
	while :; do
		case $rest in
		*"$2"*) ;;
		*) break ;;
		esac
		printf '%s%s' "${rest%%"$2"*}" "$3"
		rest=${rest#*"$2"}
	done
	printf '%s' "$rest"
}

take_word() { # WORD
	case $1 in
	root=*) root=${1#root=} ;;
	rootfstype=auto) root_types= ;;
	rootfstype=*) root_types=$(replace "${1#rootfstype=}" , ' ') ;;
	rootflags=*) root_flags=${1#rootflags=} ;;
	rootdelay=*) ! is_number "${1#rootdelay=}" || root_delay=$number ;;
	rootwait) root_limit=0 ;;
	rootwait=*) ! is_number "${1#rootwait=}" || root_limit=$number ;;
	ro | rw) root_mode=$1 ;;
	init=*) wanted_init=${1#init=} ;;
	fsck.mode=auto | fsck.mode=skip | fsck.mode=force) check_mode=${1#fsck.mode=} ;;
	fastboot) check_mode=skip ;;
	forcefsck) check_mode=force ;;
	fsck.repair=preen) check_repair=-a ;;
	fsck.repair=yes | fsckfix) check_repair=-y ;;
	fsck.repair=no) check_repair=-n ;;
	kdump_initrd.shell | kdump_initrd.shell=1) rescue=yes ;;
	esac
}

read_cmdline() {
	each_word take_unquoted
	[ "$root_limit" -eq 0 ] || [ "$root_delay" -le "$root_limit" ] || root_limit=$root_delay
}

take_unquoted() { # WORD
	take_word "$(replace "$1" '"' '')"
}
