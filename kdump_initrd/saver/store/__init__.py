# SPDX-License-Identifier: GPL-2.0-or-later
"""Where does the saver write, and when is it safe there?"""
