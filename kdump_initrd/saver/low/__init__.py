# SPDX-License-Identifier: GPL-2.0-or-later
"""What does the rest of the saver stand on: libc, lines, bits, failures?"""
