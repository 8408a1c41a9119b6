# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of each profile, from roots that the tests build: as agreed, linted and run."""
