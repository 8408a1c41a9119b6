# SPDX-License-Identifier: GPL-2.0-or-later
"""How is a dump made: which pages, how many, copied by whom, and is it right?"""
