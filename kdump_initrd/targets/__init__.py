# SPDX-License-Identifier: GPL-2.0-or-later
"""Where can a dump go, and what must an image have and do to get it there? A module a kind."""
