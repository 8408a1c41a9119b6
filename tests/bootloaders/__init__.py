# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of crashkernel= on its way to the kernel's command line, boot loader by boot loader."""
