# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration: our own file, each peer's, where dumps go, and that the documents agree."""
