# SPDX-License-Identifier: GPL-2.0-or-later
"""What does every other folder stand on: errors, lines for people, files of a root, programs?"""
