# SPDX-License-Identifier: GPL-2.0-or-later
"""Would a dump fill the thin pool that its file system lies on? The file system does not know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...config.settings import CaptureSettings
from ...core.log import get_logger
from ...core.root import Root
from ...probe.distro.profiles import Distro
from ...probe.host import thinpool
from . import dumpplaces, forecast, sample
from .finding import FINE, NOTE, WARNING, Finding
from .view import View

logger = get_logger(__name__)

_NAME = "thin pool"
_MIB = 1 << 20


def check(seen: View) -> Iterator[Finding]:
    """Yield a finding for each pool below a target that is on this host."""
    if not seen.root.is_host:
        return
    for place in seen.places:
        found = seen.hardware[place.spec]
        for pool in thinpool.pools_below(found) if found else ():
            try:
                wanted = seen.memory.size(place.level, seen.packing.ratio)
            except OSError as error:
                yield Finding(_NAME, NOTE, f"{pool}: not looked at: {error}")
                continue
            yield _one(pool, wanted)


def warn(pools: Sequence[str], settings: CaptureSettings, *, root: Root, profile: Distro) -> None:
    """Warn of those pools that a dump would fill now, when an image is built with ``settings``."""
    if not pools or not root.is_host:
        return  # as with most images
    named = dumpplaces.codecs(settings.dump_compress, settings.dump_format, profile)
    ratio = sample.measure(named).ratio
    try:
        wanted = forecast.count(root, reserved=0).size(settings.dump_level, ratio)
    except OSError:
        return  # check tells
    for pool in pools:
        found = _one(pool, wanted)
        if found.severity == WARNING:
            logger.warning("%s", found.text)


def _one(pool: str, wanted: int) -> Finding:
    left = thinpool.left(pool)
    if left is None:
        return Finding(_NAME, NOTE, f"LVM does not tell how full {pool} is", f"lvs {pool}")
    facts = {"left_bytes": left, "forecast_bytes": wanted}
    text = f"{pool} has {left // _MIB} MiB left, a dump takes about {wanted // _MIB} MiB"
    if left >= wanted:
        return Finding(_NAME, FINE, text, "", facts)
    mend = f"lvextend -L +{(wanted - left) // _MIB + 1}M {pool}"
    return Finding(_NAME, WARNING, f"{text}: the pool would run full", mend, facts)
