# SPDX-License-Identifier: GPL-2.0-or-later
"""What can a person say? The commands, their grammars, and one module for each verb."""
