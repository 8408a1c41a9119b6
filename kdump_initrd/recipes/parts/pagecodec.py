# SPDX-License-Identifier: GPL-2.0-or-later
"""How the dump's pages are compressed: the codec, and the library that the saver opens."""

from __future__ import annotations

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...probe.programs import closure
from ...probe.programs.closure import Closure
from ...probe.python.minimal import PythonRuntime
from ...saver.codec import rows as pagecodecs
from ..found import Site
from . import makedumpfile

logger = get_logger(__name__)


def choose(wanted: str, runtime: PythonRuntime, site: Site) -> tuple[str, Closure]:
    """Return the codec, the library that the saver opens for it, and what that library needs.

    ``wanted`` is what was asked for, "auto" for the first that the distribution's readers know.
    Raises KdumpInitrdError if there is none.
    """
    readable = site.profile.dump.codecs
    if wanted == "none":
        return wanted, Closure((), ())
    if wanted not in ("auto", *readable):
        logger.warning(
            "--dump-compress %s: not every dump reader of %s supports it: %s are safe",
            *(wanted, site.profile.name, ", ".join(readable)),
        )
    candidates = readable if wanted == "auto" else (wanted,)
    known = [name for name in candidates if makedumpfile.knows(site.makedumpfile, name)]
    if not known:
        raise KdumpInitrdError(
            f"--dump-compress {wanted}: {site.makedumpfile} was built without that",
            hint="use --dump-compress zlib",
        )
    rows = [pagecodecs.BY_NAME[name] for name in known]
    libraries = [(row.name, library) for row in rows for library in row.libraries]
    for name, library in libraries:
        found = closure.opened(library, by=runtime.interpreter.source, root=site.root)
        if found is not None:
            return name, found
    missing = " or ".join(library for _, library in libraries)
    raise KdumpInitrdError(
        f"--dump-compress {wanted}: {missing} not found in {site.root}",
        hint="install one, or use --dump-compress none",
    )
