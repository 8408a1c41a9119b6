# SPDX-License-Identifier: GPL-2.0-or-later
"""How are pages compressed? Each codec behind one fence, a row for each, and the choice."""
