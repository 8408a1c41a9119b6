# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Start what tells the guard of each second, where its shell cannot wait for one: sets `ticker`.
# Sourced as launch.sh is. The end of a `sleep` before its time is only an early tick.
# needs: sleep

(
	# What stops a `sleep` ends the wait for it, too.
	trap : CHLD
	exec 4>&-
	while :; do
		sleep 1 &
		wait "$!"
		echo tick
	done >&3
) &
# shellcheck disable=SC2034 # the guard's variable
ticker=$!
