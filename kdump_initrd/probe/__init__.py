# SPDX-License-Identifier: GPL-2.0-or-later
"""What is there? Facts learned from a root or this host, as values; nothing is changed."""
