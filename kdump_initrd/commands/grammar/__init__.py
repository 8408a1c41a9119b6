# SPDX-License-Identifier: GPL-2.0-or-later
"""Which request does a command line make? One module per grammar; `choice` selects one."""
