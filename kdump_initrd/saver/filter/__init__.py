# SPDX-License-Identifier: GPL-2.0-or-later
"""The page filter: which pages of memory a crash analysis does not need, by their struct page."""
