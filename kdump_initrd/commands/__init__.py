# SPDX-License-Identifier: GPL-2.0-or-later
"""What can a person say: the commands, their grammars, and one module for each verb."""
