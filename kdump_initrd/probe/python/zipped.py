# SPDX-License-Identifier: GPL-2.0-or-later
"""The zip archive of all modules that the image's Python imports, compiled where that can be."""

from __future__ import annotations

import io
import zipfile

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from .bytecode import compiled
from .minimal import PythonRuntime

logger = get_logger(__name__)

#: Measured (docs/architecture.md, "Start-up").
_COST = (
    "%s: the saver is not compiled in advance, and starts six times as slowly after a crash: "
    "0.1 s more on a fast machine, 10 s on an emulated one"
)
#: The earliest time a zip archive can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def stdlib_zip(runtime: PythonRuntime) -> bytes:
    """Return the zip archive of the modules: stored, the same bytes for the same modules.

    It holds the saver's package, too. The modules are compiled, without what is of no use in the
    capture kernel, by the interpreter itself or by another of its version. If this host has none,
    the archive has the sources, and a warning says what that costs.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, body in _members(runtime):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, body)
    return buffer.getvalue()


def _members(runtime: PythonRuntime) -> list[tuple[str, bytes]]:
    why = f"this host has no {runtime.interpreter.command}, the image's"
    if runtime.compiler is not None:
        # Each function has a copy of the file's name; the saver tells this much (low/failure.py).
        files = [f"{module.name.rpartition('.')[2]}.py" for module in runtime.modules]
        sources = [module.source for module in runtime.modules]
        try:
            found = compiled(list(zip(files, sources)), runtime.compiler)
            return [(f"{module.member}.pyc", pyc) for module, pyc in zip(runtime.modules, found)]
        except KdumpInitrdError as error:
            why = f"{runtime.compiler} does not compile it"
            logger.debug("%s", error)
    logger.warning(_COST, why)
    return [(f"{module.member}.py", module.source) for module in runtime.modules]
