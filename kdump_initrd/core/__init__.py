# SPDX-License-Identifier: GPL-2.0-or-later
"""What does every other folder stand on: errors, messages, files of a root, running programs?"""
