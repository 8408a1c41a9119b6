# SPDX-License-Identifier: GPL-2.0-or-later
"""What is a kernel release of a root: its image, its modules, its configuration, its entry?"""
