# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that lies packed in a file: found by its magic number, and unpacked."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from ...core.compression import Codec
from ...core.errors import KdumpInitrdError
from ...core.files import FILE
from ...core.log import get_logger
from ...core.run import output_of

logger = get_logger(__name__)

_TIMEOUT = 60.0


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


#: What packs kernels (CONFIG_KERNEL_*, scripts/Makefile.lib), by what unpacks it in Python.
_MODULES: Mapping[Codec, Callable[[], _Unpacker]] = {
    Codec.GZIP: lambda: zlib.decompressobj(wbits=31),
    Codec.BZIP2: bz2.BZ2Decompressor,
    Codec.LZMA: lzma.LZMADecompressor,
    Codec.XZ: lzma.LZMADecompressor,
}
#: What packs the others, by the program that unpacks it.
_PROGRAMS = {Codec.ZSTD: "zstd", Codec.LZ4: "lz4", Codec.LZO: "lzop"}
_CODECS = (*_MODULES, *_PROGRAMS)
_MAGIC = re.compile(b"|".join(re.escape(magic) for each in _CODECS for magic in each.row.magics))


def unpack(data: bytes) -> bytes:
    """Return what is packed at the start of ``data``, b"" if nothing is, or if it is damaged.

    What follows it does not matter: some images have its size there. Raises KdumpInitrdError for
    more than core.files.FILE bytes, and if this host lacks the program that unpacks it.
    """
    codec = next((each for each in _CODECS if data.startswith(each.row.magics)), None)
    if codec is None:
        return b""
    if codec in _PROGRAMS:
        argv = [_PROGRAMS[codec], "-dcq"]
        return output_of(argv, stdin=data, timeout=_TIMEOUT, limit=FILE, check=False)
    unpacker = _MODULES[codec]()
    try:
        found = unpacker.decompress(data, FILE + 1)
    except (OSError, lzma.LZMAError, zlib.error):
        return b""
    if len(found) > FILE:
        raise KdumpInitrdError(f"a kernel image of more than {FILE >> 20} MB, unpacked")
    return found if unpacker.eof else b""


def all_in(data: bytes) -> Iterator[bytes]:
    """Yield the unpacked content of all places in ``data`` where something packed may begin.

    What cannot be unpacked on this host is left out, with a warning.
    """
    for match in _MAGIC.finditer(data):
        try:
            found = unpack(data[match.start() :])
        except KdumpInitrdError as error:
            logger.warning("the unpacked size of the kernel is not known: %s", error.message)
            continue
        if found:
            yield found
