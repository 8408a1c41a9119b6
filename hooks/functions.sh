# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts of our images share. The KDUMP_ variables come from /init.
# needs: sleep sync

# Say something on the console and in the capture kernel's log, which takes no longer lines.
say() {
	printf '<5>kdump-initrd: %.900s\n' "$*" >/dev/kmsg
}

# Put something into the capture kernel's log only.
note() {
	printf '<7>kdump-initrd: %.900s\n' "$*" >/dev/kmsg
}

# Say something that is wrong.
warn() {
	printf '<3>kdump-initrd: %.900s\n' "$*" >/dev/kmsg
}

# Say what is wrong, and why a target does not get the dump: the first reason counts.
fail() {
	warn "$*"
	[ -s "$KDUMP_RUN/why" ] || printf '%.300s\n' "$*" >"$KDUMP_RUN/why"
}

# Say something that is wrong, and have it in the report.
remark() {
	warn "$*"
	printf '%s\n' "$*" >>"$KDUMP_RUN/remarks"
}

# Set the variable `seconds` to the whole seconds since the capture kernel started.
uptime() {
	read -r seconds _ </proc/uptime
	seconds=${seconds%%.*}
}

# Run a module of the saver's package: the interpreter, its few modules, a clean environment.
python() {
	"$KDUMP_LIB/python" "$@"
}

# Sync, but not for ever: a dead disk must not hold the machine.
sync_briefly() {
	sync &
	pid=$!
	tries=0
	pause=0.01 # mostly there is nothing left to be written
	while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 110 ]; do
		tries=$((tries + 1))
		[ "$tries" -le 10 ] || pause=0.1
		sleep "$pause"
	done
}

# End this kernel's life now; does not come back. The kernel's own way waits for every disk, so
# nobody waits for that.
end_machine() {
	# Set where a disk is known not to answer.
	[ -n "${KDUMP_LOST-}" ] || sync_briefly
	if command -v "$KDUMP_FINAL_ACTION" >/dev/null; then
		# -n: a sync of its own could hang as the one above.
		"$KDUMP_FINAL_ACTION" -n -f &
	elif [ -x "$KDUMP_LIB/python" ]; then
		python machine "$KDUMP_FINAL_ACTION" &
	fi
	sleep 10
	case $KDUMP_FINAL_ACTION in
	reboot) echo b >/proc/sysrq-trigger ;;
	poweroff) echo o >/proc/sysrq-trigger ;;
	esac
	# Halted, as far as this machine can be.
	while :; do sleep 3600; done
}
