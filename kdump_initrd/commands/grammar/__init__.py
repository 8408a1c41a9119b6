# SPDX-License-Identifier: GPL-2.0-or-later
"""What does a command line ask for? One module for each grammar; `choice` selects one."""
