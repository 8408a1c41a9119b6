# SPDX-License-Identifier: GPL-2.0-or-later
"""kdump-initrd: initrds that make Linux crash dumps save themselves.

This file imports nothing: the saver ships it in every capture image.
"""

__version__ = "0.1.0"
