# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of the distribution in a root, and of its architecture (distros/)?"""
