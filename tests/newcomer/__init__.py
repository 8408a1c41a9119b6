# SPDX-License-Identifier: GPL-2.0-or-later
"""What somebody does who has nothing but the README and a bare Debian."""
