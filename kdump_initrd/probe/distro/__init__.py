# SPDX-License-Identifier: GPL-2.0-or-later
"""Which distribution does a root hold, and what are its facts (distros/*.toml)?"""
