# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages, built and installed; and the code with the libraries that the .deb gets."""
