# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Load the kernel modules of a capture image. A file is emptied when its module was tried: the
# capture kernel is short of memory, and what is empty need not be tried again.
# applets: insmod

# shellcheck source=hooks/kernelline.sh
. "$KDUMP_LIB/kernelline.sh"
# shellcheck source=hooks/plug.sh
. "$KDUMP_LIB/plug.sh"
# shellcheck source=/dev/null
. "$KDUMP_LIB/drivers.sh"

loaded=0

# Load the modules of a list in its order; one that refuses is a line, not the end.
load_list() { # LIST
	while read -r file parameters; do
		[ -s "$file" ] || continue
		if insert "$file" "$parameters"; then
			loaded=$((loaded + 1))
		else
			# Drivers for hardware that is not here are no news.
			case $error in
			*"No such device"*) note "${file##*/}: ${error##*: }" ;;
			*) say "${file##*/}: ${error##*: }" ;;
			esac
		fi
		: >"$file"
	done <"$1"
}

# Load a module and what it needs.
load_module() { # NAME
	load_list "$KDUMP_ETC/on-demand/$1"
}
