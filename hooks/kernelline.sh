# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's command line, by the kernel's own rules (next_arg() in lib/cmdline.c), and what of it
# is for a kernel module.

newline='
'

# Call COMMAND with each word up to "--": what follows is init's. Blanks in double quotes belong to
# the word, and the quotes stay in it; one that does not end does so with the line.
each_word() { # COMMAND
	left=
	[ -r /proc/cmdline ] || return 0
	while IFS= read -r part || [ -n "$part" ]; do
		left="${left:+$left }$part"
	done </proc/cmdline
	while :; do
		left=${left#"${left%%[![:space:]]*}"}
		[ -n "$left" ] || return 0
		take_word_off
		[ "$word" != -- ] && [ "$word" != '"--"' ] || return 0
		"$1" "$word"
	done
}

# Move the first word of `left` to `word`.
take_word_off() {
	word=
	quoted=
	while :; do
		part=${left%%[[:space:]\"]*}
		left=${left#"$part"}
		word=$word$part
		case $left in
		'') break ;;
		\"*) [ -n "$quoted" ] && quoted= || quoted=yes ;;
		*) [ -n "$quoted" ] || break ;;
		esac
		part=${left%"${left#?}"}
		left=${left#?}
		word=$word$part
	done
	[ -z "$quoted" ] || word=$word\"
}

# Set `name` and `value` to those of WORD, as the kernel compares them: "-" in a name is "_".
parameter() { # WORD
	name=${1#\"}
	value=
	case $name in
	*=*) value=${name#*=} ;;
	esac
	name=${name%%=*}
	# Quotes are around the whole word, or around the value.
	case $value in
	\"*)
		value=${value#\"}
		value=${value%\"}
		;;
	*)
		if [ "$1" != "${1#\"}" ]; then
			value=${value%\"}
			name=${name%\"}
		fi
		;;
	esac
	with_underscores "$name"
}

# Set `name` to TEXT with "_" for "-".
with_underscores() { # TEXT
	name=$1
	while :; do
		case $name in
		*-*) name=${name%%-*}_${name#*-} ;;
		*) return 0 ;;
		esac
	done
}

# Load a kernel module with its own parameters and, behind them, those that the kernel's command
# line has for it (MODULE.PARAMETER): the last one counts, as with modprobe. What a module refuses
# must not cost the driver: then it is loaded without the latter. Sets `error` to what insmod says.
# shellcheck disable=SC2034 # who calls reads it
insert() { # FILE PARAMETERS
	find_given "$1"
	error=$(insmod "$1" ${2:+"$2"} ${given:+"$given"} 2>&1) && return
	[ -n "$given" ] || return
	error=$(insmod "$1" ${2:+"$2"} 2>&1) || return
	say "${1##*/}: refused these parameters of the command line: $given"
}

# Set `given` to what the command line has for the module in FILE.
find_given() { # FILE
	if [ -z "${dotted+known}" ]; then
		dotted=$newline
		each_word keep_dotted
	fi
	given=
	[ "$dotted" != "$newline" ] || return 0
	with_underscores "${1##*/}"
	name=${name%%.*}
	rest=$dotted
	while :; do
		case $rest in
		*"$newline$name."*) ;;
		*) return 0 ;;
		esac
		rest=${rest#*"$newline$name."}
		given="${given:+$given }${rest%%"$newline"*}"
		rest=$newline${rest#*"$newline"}
	done
}

# Keep MODULE.PARAMETER, the module as its file is named; where quotes are around the whole, they
# go to what the module is given.
keep_dotted() { # WORD
	parameter "$1"
	case $name in
	*?.?*) ;;
	*) return 0 ;;
	esac
	case $1 in
	\"*) dotted=$dotted${name%%.*}.\"${1#*.}$newline ;;
	*) dotted=$dotted${name%%.*}.${1#*.}$newline ;;
	esac
}
