@@ almalinux amazon arch centos debian fedora linux opensuse-leap opensuse-tumbleweed redhat rhel rocky sles suse ubuntu
# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Which of the image's modules drive a device, by its MODALIAS.

# All that wait for a device, in the order of loading.
# shellcheck disable=SC2034 # plug.sh and the hooks read it
@@ all but arch debian linux opensuse-leap redhat ubuntu
drivers=''
@@ arch debian linux opensuse-leap redhat ubuntu
drivers='virtio_pci virtio_blk sd_mod nvme qla2xxx hv_vmbus'
@@ all

load_drivers() { # MODALIAS
	: "$1"
@@ arch debian linux opensuse-leap redhat ubuntu
	case $1 in
	pci:v00001AF4*)
		load_if "$1" virtio_pci 'pci:v00001AF4d*sv*sd*bc*sc*i*'
		;;
	esac
	case $1 in
	virtio:d00000002*)
		load_if "$1" virtio_blk 'virtio:d00000002v*'
		;;
	esac
	case $1 in
	scsi:*)
		load_if "$1" sd_mod 'scsi:t-0x00*'
		;;
	esac
	case $1 in
	pci:*)
		load_if "$1" nvme 'pci:v*d*sv*sd*bc01sc08i02*'
		;;
	esac
	case $1 in
	pci:v0000106B*)
		load_if "$1" nvme 'pci:v0000106Bd00002001sv*sd*bc*sc*i*'
		;;
	esac
	case $1 in
	pci:v00001077*)
		load_if "$1" qla2xxx 'pci:v00001077d00002432sv*sd*bc*sc*i*'
		;;
	esac
	case $1 in
	acpi:*)
		load_if "$1" hv_vmbus 'acpi*:VMBUS:*'
		;;
	esac
@@ all
}
