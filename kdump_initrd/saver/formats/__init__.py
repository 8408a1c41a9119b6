# SPDX-License-Identifier: GPL-2.0-or-later
"""How is memory laid out in a dump file? Readers and writers, one folder a format."""
