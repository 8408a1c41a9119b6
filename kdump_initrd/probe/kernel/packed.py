# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of a root that may be packed, as their names tell: kernel modules, firmware."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

from ...core import files
from ...core.errors import KdumpInitrdError
from ...core.run import output_of

SUFFIXES = (".xz", ".zst", ".gz")
_TIMEOUT = 60.0


def unpacked(source: Path) -> bytes:
    """Return the bytes of ``source``, which must be free of links, unpacked if its name says so.

    Raises KdumpInitrdError if it cannot be read, is cut off, or is larger than files.FILE when it
    is unpacked.
    """
    try:
        data = files.read(source, limit=files.FILE)
        if source.suffix == ".xz":
            return _unpack(source, data, lzma.LZMADecompressor)
        if source.suffix == ".gz":
            return _unpack(source, data, lambda: zlib.decompressobj(wbits=31))
        if source.suffix == ".zst":
            argv = ["zstd", "--decompress", "--quiet", "--stdout"]
            return output_of(argv, stdin=data, timeout=_TIMEOUT, limit=files.FILE)
        return data
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise KdumpInitrdError(f"{source}: cannot be read: {why}") from error
    except KdumpInitrdError as error:
        if error.message.startswith(str(source)):
            raise
        last = error.message.splitlines()[-1]
        raise KdumpInitrdError(f"{source}: cannot be read: {last}", hint=error.hint) from error


def _unpack(
    source: Path, data: bytes, start: Callable[[], lzma.LZMADecompressor | zlib._Decompress]
) -> bytes:
    # There may be several streams (xz(1), gzip(1)); each must be complete.
    found = io.BytesIO()
    while data:
        unpacker = start()
        found.write(unpacker.decompress(data, files.FILE + 1 - found.tell()))
        if found.tell() > files.FILE:
            raise KdumpInitrdError(f"{source}: is larger than {files.FILE >> 20} MB, unpacked")
        if not unpacker.eof:
            raise EOFError("cut off")
        data = unpacker.unused_data.lstrip(b"\0")
    return found.getvalue()
