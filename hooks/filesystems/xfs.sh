# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The devices of an XFS beside its own one: the options for the mount have their stable names.
# shellcheck disable=SC2034,SC2154 # they share their variables

# Set `options` to those with the devices' nodes; fails while one of them is missing.
find_parts() {
	options=
	left=$KDUMP_MOUNT_OPTIONS,
	while [ -n "$left" ]; do
		word=${left%%,*}
		left=${left#*,}
		case $word in
		logdev=* | rtdev=*)
			missing=$KDUMP_DEVICE\'s\ $word
			resolve "${word#*=}" || return
			word=${word%%=*}=$found
			;;
		esac
		options=${options:+$options,}$word
	done
}
