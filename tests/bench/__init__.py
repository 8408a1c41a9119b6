# SPDX-License-Identifier: GPL-2.0-or-later
"""Measurements of the product beside the floor that physics leaves."""
