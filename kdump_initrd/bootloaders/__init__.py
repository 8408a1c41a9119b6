# SPDX-License-Identifier: GPL-2.0-or-later
"""How does crashkernel= get onto the kernel's command line? One file for each way."""
