# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of kdump-initrd."""
