# SPDX-License-Identifier: GPL-2.0-or-later
"""What do programs of a root need to run: interpreters, loaders, libraries, applets?"""
