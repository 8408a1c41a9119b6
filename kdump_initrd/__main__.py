# SPDX-License-Identifier: GPL-2.0-or-later
"""``python3 -m kdump_initrd`` is ``mkinitrd-kdump``."""

import sys

from .commands.start import mkinitrd

sys.exit(mkinitrd())
