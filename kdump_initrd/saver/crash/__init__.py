# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a crash: when, which kernel, its log, its last words?"""
