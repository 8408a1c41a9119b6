# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What /init does between the targets, where an image has several: the dump goes to the first one
# that takes it, the kernel log to those behind it. Each has its own time, and files of its own.
# shellcheck disable=SC2034,SC2154 # the guard's variables

# Seconds for a target that gets the log only, and for each of its hooks when that was too long.
brief=30
soon=5
until=
export KDUMP_ATTEMPTS='' KDUMP_SAVED=''

# After the hooks of a target: keep how it went, for the report of the next one.
leave_target() {
	if [ -z "$KDUMP_SAVED" ]; then
		how=$reason
		[ -n "$how" ] || [ ! -r "$KDUMP_RUN/why" ] || read -r how <"$KDUMP_RUN/why"
		if has_dump; then
			KDUMP_SAVED=$KDUMP_DEVICE
			[ "$KDUMP_TIMEOUT" -eq 0 ] || until=$((started + KDUMP_TIMEOUT))
			how="has the dump"
		fi
		KDUMP_ATTEMPTS="${KDUMP_ATTEMPTS:+$KDUMP_ATTEMPTS
}$KDUMP_DEVICE: ${how:-has no whole dump}"
	fi
	reason=
	lost=
	KDUMP_REASON=
	hurry=30
}

# Before the hooks of the next one, whose variables are set; fails where no time is left for it.
enter_target() {
	tick
	spent=$((seconds - started))
	mount -t tmpfs -o size=1m,mode=700 tmpfs "$KDUMP_RUN"
	echo 0 >"$KDUMP_PROGRESS"
	[ -n "$KDUMP_SAVED" ] || return 0
	left=$brief
	[ -z "$until" ] || [ "$((until - seconds))" -ge "$left" ] || left=$((until - seconds))
	[ "$left" -gt 0 ] || return 1
	started=$seconds
	spent=0
	KDUMP_LOG_ONLY=yes
	KDUMP_TIMEOUT=$left
	KDUMP_SETUP_TIMEOUT=$left
	hurry=$soon
}
