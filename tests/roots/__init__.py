# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile and odd roots: what each command makes of them."""
