# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Which of the image's modules drive a device, by its MODALIAS.

# All that wait for a device, in the order of loading.
# shellcheck disable=SC2034 # plug.sh and the hooks read it
drivers=''

load_drivers() { # MODALIAS
	: "$1"
}
