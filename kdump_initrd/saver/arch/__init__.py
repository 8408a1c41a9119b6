# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a dump depends on the architecture?"""
