# SPDX-License-Identifier: GPL-2.0-or-later
"""Is a host ready to save a crash, and what is missing?"""
