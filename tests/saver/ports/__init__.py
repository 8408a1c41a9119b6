# SPDX-License-Identifier: GPL-2.0-or-later
"""The architectures of synthetic vmcores, by the names that a description uses."""

from __future__ import annotations

from ..port import Port
from . import aarch64, i386, ppc64, riscv64, s390x
from .x86_64 import X86_64

PORTS: dict[str, Port] = {
    "x86_64": X86_64(),
    **aarch64.PORTS,
    **riscv64.PORTS,
    **i386.PORTS,
    **ppc64.PORTS,
    **s390x.PORTS,
}
