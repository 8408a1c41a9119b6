# SPDX-License-Identifier: GPL-2.0-or-later
"""The command grammars: each option of each, who is meant, and that pages and parsers agree."""
