# SPDX-License-Identifier: GPL-2.0-or-later
"""How are a host's images kept current when its kernels come, change and go?"""
