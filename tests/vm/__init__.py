# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that crash a real kernel in QEMU and read its dump back."""
