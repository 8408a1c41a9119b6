# SPDX-License-Identifier: GPL-2.0-or-later
"""How is an image made? Each recipe can be read from top to bottom: look, decide, write."""
