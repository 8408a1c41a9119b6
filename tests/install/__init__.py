# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways to have the package: wheel, editable install, bare checkout."""
