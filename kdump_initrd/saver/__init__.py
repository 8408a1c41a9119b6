# SPDX-License-Identifier: GPL-2.0-or-later
"""The saver: stores a crashed kernel's memory safely.

It runs in the capture kernel from the image, and on any host from the checkout. Standard library
only, relative imports only, and few of either: each import costs start-up time when a machine is
down (docs/architecture.md has the figures).
"""
