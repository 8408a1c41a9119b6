# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of the saver: synthetic vmcores, built in code."""
