# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages does the analysis of a crash not need, by their struct page?"""
