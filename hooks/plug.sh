# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Drivers for the devices that are there. drivers.sh has the tables: `drivers` and load_drivers;
# who uses this says what load_module does.
# shellcheck disable=SC2154 # the tables come from drivers.sh

# Load MODULE if one of its patterns matches.
load_if() { # MODALIAS MODULE PATTERN...
	alias=$1
	module=$2
	shift 2
	for pattern; do
		# shellcheck disable=SC2254 # it is a pattern
		case $alias in
		$pattern)
			load_module "$module"
			return
			;;
		esac
	done
}

# Set `alias` to what a device says it is: its bus in small letters first, or a line of uevent.
read_alias() { # FILE
	alias=
	[ -r "$1" ] || return
	while read -r line; do
		case $line in
		MODALIAS=*) alias=${line#MODALIAS=} ;;
		[!A-Z]*) alias=$line ;;
		esac
	done <"$1"
}

# Load the drivers of devices that have come up; each is looked at once. The cards of mmc have no
# modalias of their own.
plugged=
plug() {
	again=$drivers
	while [ -n "$again" ]; do
		again=
		for device in /sys/bus/*/devices/*/modalias /sys/bus/mmc/devices/*/uevent; do
			case $plugged in
			*" $device "*) continue ;;
			esac
			plugged="$plugged $device "
			read_alias "$device"
			[ -n "$alias" ] || continue
			# A driver brings devices of its own.
			load_drivers "$alias"
			again=yes
		done
	done
}
