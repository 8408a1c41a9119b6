# SPDX-License-Identifier: GPL-2.0-or-later
"""How do trees become the bytes of an initrd, and those of any initrd entries again?"""
