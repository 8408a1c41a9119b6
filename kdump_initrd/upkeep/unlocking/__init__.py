# SPDX-License-Identifier: GPL-2.0-or-later
"""How does a capture kernel open an encrypted volume, when nobody can be asked for a passphrase?"""
