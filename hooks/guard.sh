# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What /init is for: it starts the hooks, one after the other, and watches them. From the first of
# them on it waits for no child and touches no disk, and a fork that fails is only a hook that does
# not run: nothing that hangs, dies or fills the memory keeps it from its last step. It is the first
# process, which no signal kills.
# applets: mkdir
# needs: mount umount
# shellcheck disable=SC3045 # read -t is tried before it is used

# Seconds for each hook when all has been given up, and for a process to end after a signal.
hurry=30
week=604800
grace=3
# Processes that a hook may have.
crowd=64

# Hooks must not fill the memory by what they write there; and what they fill is not ours.
bound_folders() {
	for folder in /run /tmp; do
		mount -t tmpfs -o size=4m,mode=755 tmpfs "$folder"
	done
	mount -t tmpfs -o size=1m,mode=700 tmpfs "$KDUMP_RUN"
}

# Open and make all that is needed later; hooks get a cage each.
prepare_guard() { # HOOK...
	seconds=0
	tick
	started=$seconds
	spent=0
	number=0
	reason=
	lost=
	chosen=
	due=0
	export KDUMP_REASON='' KDUMP_LOST='' KDUMP_HOOKS=''
	# One descriptor for the words of children, one for the end of the machine.
	command exec 3<>"$KDUMP_LIB/words"
	command exec 4>/proc/sysrq-trigger
	# The end of this shell itself is the last thing to happen.
	trap force_end EXIT
	timed=
	ticker=
	rung=
	read -r -t 0 _ <&3 2>/dev/null
	if [ $? -le 1 ]; then
		# No signal is caught: after the first one busybox 1.38 never returns from a `read`
		# (ash.c: it does not forget bb_got_signal). A child's end is seen after the second.
		timed=yes
		looks=3
	else
		# A child's end ends a pause, before its last word is read.
		trap ring CHLD
		looks=6
	fi
	# The page is there from now on, even if all memory should be in use later.
	echo 0 >"$KDUMP_PROGRESS"
	make_cages "$@"
}

# The cage of a hook counts its processes, whatever they do to get away from it.
make_cages() { # HOOK...
	cages=
	command -v mkdir >/dev/null && [ -d /sys/fs/cgroup ] || return 0
	# Since Linux 6.0: no wait for all processors when a process is put into one.
	mount -t cgroup2 -o favordynmods cgroup2 /sys/fs/cgroup 2>/dev/null ||
		mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null || return 0
	cages=/sys/fs/cgroup
	{
		echo +pids
		# What is left of a hook must not take the saver's time.
		echo +cpu
	} >"$cages/cgroup.subtree_control" 2>/dev/null
	folders=
	for hook; do folders="$folders $cages/${hook%%/*}-${hook#*/}"; done
	# shellcheck disable=SC2086 # names of hooks have no blanks
	[ -z "$folders" ] || mkdir $folders
}

# What happens to a child between a look at it and the wait for its words must not be waited for. One
# line is enough, and more would fill the pipe.
ring() {
	[ -n "$rung" ] || echo >&3
	rung=yes
}

# Wait for a second at most, or for a child's word or end; sets `word`, `which` and `value`. The
# shell does this by itself, or else a child ticks: if that can be started no more, time goes by in
# circles.
pause() {
	word=
	which=
	value=
	if [ -n "$timed" ]; then
		read -r -t 1 word which value <&3
		return
	fi
	if is_gone "$ticker" || [ "$state" = T ]; then
		[ -z "$ticker" ] || kill -s KILL "$ticker"
		ticker=
		command . "$KDUMP_LIB/ticker.sh" 2>/dev/null
		[ -n "$ticker" ] || return 0
	fi
	read -r word which value <&3
	[ -n "$word" ] || rung=
}

# Look at the clock; a hook that takes /proc away does not stop it.
tick() {
	time=
	{ read -r time _ </proc/uptime; } 2>/dev/null
	time=${time%%.*}
	case $time in
	'' | *[!0-9]*) seconds=$((seconds + 1)) ;;
	*) seconds=$time ;;
	esac
	# Over the old text: there is always room for that.
	[ -z "$KDUMP_WATCHDOGS" ] || echo "$seconds" 1<>"$KDUMP_LIB/pulse"
}

nap() { # SECONDS
	tick
	end=$((seconds + $1))
	while [ "$seconds" -lt "$end" ]; do
		pause
		tick
	done
}

# Tell whether a process has ended, if only its parent does not know yet; sets its `state`, T for
# one that was stopped.
is_gone() { # PID
	state=
	[ -n "$1" ] || return 0
	jobs >/dev/null 2>&1 # its parent knows now
	kill -0 "$1" 2>/dev/null || return 0
	line=
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null
	line=${line##*) }
	state=${line%% *}
	case $state in
	[ZX]) return 0 ;;
	esac
	return 1
}

# Tell whether a target has taken the whole dump: the saver says so, or the copy in its place.
has_dump() {
	[ -z "${KDUMP_SAVED-}" ] || return 0
	status=
	[ ! -r "$KDUMP_RUN/saver" ] || read -r status <"$KDUMP_RUN/saver"
	[ "$status" = 0 ]
}

# Once, before what is done at the end.
choose_action() {
	[ -z "$chosen" ] || return 0
	chosen=yes
	! has_dump || return 0
	case $KDUMP_FAILURE_ACTION in
	final) ;;
	shell)
		export KDUMP_SHELL=yes
		KDUMP_TIMEOUT=0
		;;
	*) KDUMP_FINAL_ACTION=$KDUMP_FAILURE_ACTION ;;
	esac
}

# Run a hook as long as it may. SECONDS is its own limit; one without is limited by the three
# timers: set-up, stall and overall. When all was given up, what is left gets a little time each.
run_hook() { # FILE SECONDS
	is_due "$1" || return 0
	hook=$1
	limit=$2
	case $hook in final/*) choose_action ;; esac
	case $reason:$hook in
	*:final/10-shell) limit=$week ;;
	:final/*) [ "$limit" -gt 0 ] || limit=60 ;;
	:*) ;;
	*) [ "$limit" -gt 0 ] && [ "$limit" -le "$hurry" ] || limit=$hurry ;;
	esac
	start_hook || return 0
	watch_hook
	[ -n "$reason" ] && [ -z "$KDUMP_REASON" ] || return 0
	# What can be saved without the dump, as soon as it has been given up.
	KDUMP_REASON=$reason
	case $hook in
	save/*) [ ! -e "$KDUMP_RUN/mounted" ] || run_hook save/10-saver "$hurry" ;;
	esac
}

# Say what is wrong with the hook, also to those that follow: the saver puts it into the report.
complain() { # TEXT
	warn "hook $hook: $1"
	KDUMP_HOOKS="${KDUMP_HOOKS:+$KDUMP_HOOKS
}$hook: $1"
}

# Tell whether a hook still makes sense.
is_due() { # FILE
	case $1 in
	success/*) has_dump && [ -z "${KDUMP_SAVED-}" ] || return 1 ;;
	emergency/*) [ -n "$reason" ] || return 1 ;;
	failure/*) ! has_dump || return 1 ;;
	esac
	case $reason:$lost:$1 in
	::* | *:f*/* | ?*::save/10-saver) return 0 ;;
	?*::pre-mount/* | ?*::mount/* | ?*::save/* | *:yes:*) return 1 ;;
	esac
}

start_hook() {
	number=$((number + 1))
	KDUMP_STARTED=$((started + spent))
	export KDUMP_STARTED
	cage=
	if [ -n "$cages" ] && [ -e "$cages/${hook%%/*}-${hook#*/}/pids.max" ]; then
		cage=$cages/${hook%%/*}-${hook#*/}
		echo "$crowd" >"$cage/pids.max"
		[ "$limit" -eq 0 ] || [ ! -e "$cage/cpu.weight" ] || echo 10 >"$cage/cpu.weight"
	fi
	pid=
	for _ in 1 2 3; do
		command . "$KDUMP_LIB/launch.sh"
		[ -z "$pid" ] || return 0
		nap 1
	done
	warn "hook $hook: no process can be started for it"
	return 1
}

# In a hook's own process: what another one has mounted something over is there again.
uncover() {
	[ -e /proc/uptime ] || mount -t proc proc /proc
	[ -e /dev/console ] || mount -t devtmpfs devtmpfs /dev
	layers=0
	top=
	while read -r _ folder type _; do
		[ "$folder" = "$KDUMP_MOUNT" ] || continue
		layers=$((layers + 1))
		top=$type
	done </proc/mounts
	[ "$layers" -gt 1 ] || return
	# A dump in memory would be lost.
	case $top in
	tmpfs | ramfs) umount "$KDUMP_MOUNT" ;;
	esac
}

# Wait for the end of the hook, or end it when its time is over.
watch_hook() {
	tick
	begun=$seconds
	moved=$seconds
	last=
	status=
	gone=0
	while [ -z "$status" ]; do
		pause
		case $word:$which in
		"over:$number")
			status=$value
			continue
			;;
		esac
		# Its last word may still be there.
		! is_gone "$pid" || gone=$((gone + 1))
		[ "$gone" -lt "$looks" ] || status=killed
		tick
		check_time
		[ -n "$why" ] || continue
		end_hook
		break
	done
	tick
	[ "$limit" -eq 0 ] || spent=$((spent + seconds - begun))
	[ "${status:-0}" = 0 ] || complain "status $status"
}

is_over() { # SECONDS LIMIT
	[ "$2" -gt 0 ] && [ "$1" -ge "$2" ]
}

# Set `why` when the time of the hook is over, and `reason` when it is that of all the capture.
check_time() {
	why=
	if is_over $((seconds - begun)) "$limit"; then
		why="not done after $limit s"
	elif [ -n "$reason" ]; then
		return
	elif is_over $((seconds - started)) "$KDUMP_TIMEOUT"; then
		why="not done after $KDUMP_TIMEOUT s"
		reason=$why
	elif [ "$limit" -gt 0 ]; then
		return
	elif [ -e "$KDUMP_RUN/mounted" ]; then
		if is_stalled; then
			why="no progress for $KDUMP_STALL_TIMEOUT s"
		elif is_over "$seconds" "$due"; then
			why="slower than $KDUMP_FLOOR_RATE MiB/s"
		else
			return
		fi
		# Another hook that hangs costs nothing but itself.
		case $hook in save/*) reason=$why ;; esac
	elif is_over $((seconds - started - spent)) "$KDUMP_SETUP_TIMEOUT"; then
		why="no dump file system after $KDUMP_SETUP_TIMEOUT s"
		# What it should have done may be done already: the next ones get their time.
		case $hook in
		pre-mount/*) spent=$((spent + seconds - begun)) ;;
		*) reason=$why ;;
		esac
	fi
}

# Look at what the saver has written last; it says by when it must be done, too.
is_stalled() {
	now=$last
	due=0
	[ ! -r "$KDUMP_PROGRESS" ] || read -r now due <"$KDUMP_PROGRESS"
	due=${due:-0}
	most=$((due - started + ${KDUMP_DEADLINES:-0}))
	[ -z "$KDUMP_DEADLINES" ] || [ "$most" -le "$KDUMP_TIMEOUT" ] || KDUMP_TIMEOUT=$most
	if [ "$now" != "$last" ]; then
		last=$now
		moved=$seconds
	fi
	is_over $((seconds - moved)) "$KDUMP_STALL_TIMEOUT"
}

# End the hook and its processes, first in a friendly way. What not even SIGKILL ends waits for a
# device: if that happens when all has been given up already, nothing is tried with it any more.
end_hook() {
	if [ "$why" = "$reason" ]; then
		warn "$reason: giving up"
	else
		complain "$why: it is ended"
	fi
	family=" $pid "
	for signal in TERM KILL; do
		find_family
		end=$((seconds + grace))
		while [ "$seconds" -lt "$end" ]; do
			signal_family
			pause
			tick
			! is_family_gone || return 0
		done
	done
	warn "hook $hook does not end, not even after SIGKILL"
	[ -n "$KDUMP_REASON" ] || return 0
	lost=yes
	KDUMP_LOST=yes
}

# Add to `family` the processes of the hook: those in its cage, and all that descend from it.
find_family() {
	if [ -n "$cage" ]; then
		while read -r process; do family="$family$process "; done <"$cage/cgroup.procs"
	fi
	found=yes
	while [ -n "$found" ]; do
		found=
		for file in /proc/[0-9]*/stat; do
			line=
			{ read -r line <"$file"; } 2>/dev/null
			process=${line%% *}
			line=${line##*) }
			line=${line#* }
			case $family in
			*" $process "*) ;;
			*" ${line%% *} "*)
				family="$family$process "
				found=yes
				;;
			esac
		done
	done
}

signal_family() {
	if [ "$signal" = KILL ]; then
		# No more of them.
		[ -z "$cage" ] || echo 0 >"$cage/pids.max"
		find_family
	fi
	for process in $family; do kill -s "$signal" "$process"; done 2>/dev/null
}

is_family_gone() {
	for process in $family; do is_gone "$process" || return; done
}

# The end of the machine, whatever hangs: no process is started and no disk waited for.
force_end() {
	trap - EXIT
	choose_action
	case $KDUMP_FINAL_ACTION in
	halt) while :; do pause; done ;;
	esac
	# What is mounted still: written out, if it can be.
	echo s >&4
	echo u >&4
	nap 2
	if [ "$KDUMP_FINAL_ACTION" = poweroff ]; then
		echo o >&4
		nap 10
		warn "the machine cannot be switched off: it is restarted"
	fi
	echo b >&4
	nap 5
	# A kernel without sysrq: this panics, and panic=10 restarts.
	exit 1
}
