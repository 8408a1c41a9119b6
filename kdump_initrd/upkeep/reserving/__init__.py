# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory should a host reserve, does the next boot do it, and how is that changed?"""
