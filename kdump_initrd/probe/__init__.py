# SPDX-License-Identifier: GPL-2.0-or-later
"""What there is: facts learned from a root, as values; nothing here changes anything."""
