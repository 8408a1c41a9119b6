# SPDX-License-Identifier: GPL-2.0-or-later
"""What a capture kernel takes of the reserved memory: by its image, else as its architecture's."""

from __future__ import annotations

from collections.abc import Mapping

from ...image.reservation import Terms
from ...probe.distro.architectures import facts
from ...probe.kernel.kernelimage import KernelImage
from ...probe.kernel.releases import page_size


def terms_of(machine: str, image: KernelImage | None, config: Mapping[str, str]) -> Terms:
    """Return it for a kernel of an architecture, by its image and its configuration.

    Both may be unknown: None and empty.
    """
    usual = facts().named(machine).reservation
    page = (image.page if image else 0) or page_size(config) or usual.page
    return Terms(
        kernel=(image.unpacked if image else 0) or usual.kernel,
        runtime=usual.runtime + usual.pages * page,
        freed=usual.freed,
        page=page,
    )
