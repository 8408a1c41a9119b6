# SPDX-License-Identifier: GPL-2.0-or-later
"""What does the saver need of a root's Python, found without running it?"""
