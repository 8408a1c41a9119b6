# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes an archive: the tree, its text, and the initrd that carries it."""
