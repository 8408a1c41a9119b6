# SPDX-License-Identifier: GPL-2.0-or-later
"""What is this host: its disks and what holds them, its mounts, its kernel of the moment?"""
