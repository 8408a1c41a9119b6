# SPDX-License-Identifier: GPL-2.0-or-later
"""How does a tree become the bytes of an initrd, and how are those of any initrd read?"""
