# SPDX-License-Identifier: GPL-2.0-or-later
"""What is an image put together from? One module a part, for the recipes."""
