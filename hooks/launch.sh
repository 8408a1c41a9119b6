# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Start the hook $hook, number $number: sets `pid`, and the guard is told of its end. /init sources
# this by `command .`, so that a fork that fails ends this file and nothing else.
# shellcheck disable=SC2154,SC3045 # the guard's variables; ulimit -S of dash, bash, busybox

# What has a limit of its own may rather be killed than the saver, when memory runs out.
(
	trap - CHLD
	exec 4>&-
	{
		if [ "$limit" -gt 0 ]; then echo 500; else echo 0; fi >/proc/self/oom_score_adj
		[ -z "$cage" ] || echo 0 >"$cage/cgroup.procs"
		uncover
		# The root is as large as the memory, and these have no large files to write; a hook that
		# has lifts the limit.
		case $limit:$hook in
		0:*) ;;
		*:pre-*/*) ulimit -S -f 16384 ;; # blocks of 512 bytes
		esac
	} 2>/dev/null
	# Its argument: 0 if a target has the whole dump by now.
	has_dump
	"$KDUMP_LIB/hooks/$hook" $? 3>&-
	# More than once: whoever waits for a second only may take a part of a line for all of it.
	word="over $number $?"
	printf '%s\n%s\n%s\n' "$word" "$word" "$word" >&3
) &
# shellcheck disable=SC2034 # the guard's variable
pid=$!
