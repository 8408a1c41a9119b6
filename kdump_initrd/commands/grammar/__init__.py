# SPDX-License-Identifier: GPL-2.0-or-later
"""Which request is meant by a command line? One module a grammar; `choice` tells which."""
