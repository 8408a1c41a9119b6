# SPDX-License-Identifier: GPL-2.0-or-later
"""Where kernels to crash come from: suites, architectures and packages, in one table.

``python -m tests.vm.sources NAME…`` fetches some of them into the cache.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from kdump_initrd.core.errors import KdumpInitrdError

from .architectures import AARCH64, I386, PPC64LE, RISCV64
from .kernels import NoKernel, Source, fetched
from .suites import Suite

#: Debian 13's signed kernel of one ABI: linux-image-6.12.N+deb13-amd64.
TRIXIE = Source(Suite("trixie"), r"linux-image-6\.12\.[^-]*-amd64")
#: With what makes layers and assembles them.
LAYERS_6_1 = Source(
    Suite("bookworm"),
    r"linux-image-6\.1\.0-\d+-amd64",
    "layers",
    (
        *("cryptsetup-bin", "dmsetup", "e2fsprogs", "kpartx", "lvm2", "mdadm", "multipath-tools"),
        *("thin-provisioning-tools", "xfsprogs"),
    ),
)
#: With what this project stands on, too, so that it can run there.
SERVICE_6_1 = replace(
    LAYERS_6_1,
    variant="service",
    beside=(
        *LAYERS_6_1.beside,
        *("libarchive13", "python3-jinja2", "python3-libarchive-c", "python3-pyelftools"),
    ),
)
FORKY = Source(Suite("forky"), r"linux-image-\d[^-]*-amd64")
I386_6_1 = Source(Suite("bookworm", I386), r"linux-image-\d.*-686-pae")
PPC64LE_6_1 = Source(Suite("bookworm", PPC64LE), r"linux-image-\d.*-powerpc64le")
PPC64LE_7 = Source(Suite("forky", PPC64LE), r"linux-image-\d[^-]*-powerpc64le")
PPC64LE_7_64K = Source(Suite("forky", PPC64LE), r"linux-image-\d[^-]*-powerpc64le-64k", "64k")
AARCH64_6_12 = Source(Suite("trixie", AARCH64), r"linux-image-\d[^-]*-arm64")
AARCH64_6_12_16K = Source(Suite("trixie", AARCH64), r"linux-image-\d[^-]*-arm64-16k", "16k")
AARCH64_7 = Source(Suite("forky", AARCH64), r"linux-image-\d[^-]*-arm64")
#: Debian 13 has no kexec-tools for it.
RISCV64_7 = Source(Suite("forky", RISCV64), r"linux-image-\d[^-]*-riscv64")
SOURCES = {
    source.name: source
    for source in (
        *(TRIXIE, FORKY, I386_6_1, PPC64LE_6_1, PPC64LE_7, PPC64LE_7_64K),
        *(AARCH64_6_12, AARCH64_6_12_16K, AARCH64_7, RISCV64_7),
    )
}


def main() -> int:
    """Fetch kernels and print their roots and releases."""
    try:
        for name in sys.argv[1:]:
            kernel = fetched(SOURCES[name])
            print(kernel.root, kernel.release)
    except (KdumpInitrdError, NoKernel) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
