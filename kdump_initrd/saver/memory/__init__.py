# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in the crashed kernel's memory, whatever file it is read from?"""
