# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wanted: the settings, wherever they are said?"""
