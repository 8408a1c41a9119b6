# SPDX-License-Identifier: GPL-2.0-or-later
"""How does the running system load the capture kernel, and how does it know what is loaded?"""
