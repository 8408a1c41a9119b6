# SPDX-License-Identifier: GPL-2.0-or-later
"""Which settings are in effect, and where were they set?"""
