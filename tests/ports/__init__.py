# SPDX-License-Identifier: GPL-2.0-or-later
"""Crashes of other architectures and other kernels, and the record of what they prove."""
