# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes an archive: the tree, its text, its hooks, what it says of itself?"""
