# SPDX-License-Identifier: GPL-2.0-or-later
"""How is the first kernel's initrd made: appended to the distribution's own, or whole?"""
