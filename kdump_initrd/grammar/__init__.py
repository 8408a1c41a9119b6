# SPDX-License-Identifier: GPL-2.0-or-later
"""The command grammars: words → requests. One module a grammar; ``choice`` tells which is meant."""
