# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a root's Python does the saver need, found without running it?"""
