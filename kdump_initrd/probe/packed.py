# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of a root that may be packed, as their names say: kernel modules, firmware."""

from __future__ import annotations

import io
import lzma
import zlib
from pathlib import Path

from .. import rooted
from ..errors import KdumpInitrdError
from ..run import output_of

SUFFIXES = (".xz", ".zst", ".gz")
_TIMEOUT = 60.0


def unpacked(source: Path) -> bytes:
    """Return the bytes of ``source``, which must be free of links, unpacked if its name says so.

    Raises KdumpInitrdError for what cannot be read, is cut off, or is larger than rooted.FILE
    when it is unpacked.
    """
    try:
        data = rooted.read(source, limit=rooted.FILE)
        if source.suffix == ".xz":
            return _xz(source, data)
        if source.suffix == ".gz":
            return _gzip(source, data)
        if source.suffix == ".zst":
            argv = ["zstd", "--decompress", "--quiet", "--stdout"]
            return output_of(argv, stdin=data, timeout=_TIMEOUT, limit=rooted.FILE)
        return data
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise KdumpInitrdError(f"{source}: cannot be read: {why}") from error
    except KdumpInitrdError as error:
        if error.message.startswith(str(source)):
            raise
        last = error.message.splitlines()[-1]
        raise KdumpInitrdError(f"{source}: cannot be read: {last}", hint=error.hint) from error


def _xz(source: Path, data: bytes) -> bytes:
    # More than one stream is allowed (xz(1)); none may lack its end.
    found = io.BytesIO()
    while data:
        unpacker = lzma.LZMADecompressor()
        found.write(unpacker.decompress(data, rooted.FILE + 1 - found.tell()))
        _check_size(source, found.tell())
        if not unpacker.eof:
            raise EOFError("cut off")
        data = unpacker.unused_data.lstrip(b"\0")
    return found.getvalue()


def _gzip(source: Path, data: bytes) -> bytes:
    found = io.BytesIO()
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        found.write(unpacker.decompress(data, rooted.FILE + 1 - found.tell()))
        _check_size(source, found.tell())
        if not unpacker.eof:
            raise EOFError("cut off")
        data = unpacker.unused_data.lstrip(b"\0")
    return found.getvalue()


def _check_size(source: Path, size: int) -> None:
    if size > rooted.FILE:
        raise KdumpInitrdError(f"{source}: is larger than {rooted.FILE >> 20} MB, unpacked")
