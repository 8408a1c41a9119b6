# SPDX-License-Identifier: GPL-2.0-or-later
"""What is an image put together from? One module for each part, used by the recipes."""
