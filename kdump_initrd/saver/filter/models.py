# SPDX-License-Identifier: GPL-2.0-or-later
"""From a page frame to the address of its struct page: the memory models of Linux.

They are told apart by the keys of VMCOREINFO (kernel/vmcore_info.c), never by a version.
"""

from __future__ import annotations

from ..low.failure import SaverError, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..arch import AddressSpace
    from ..memory.vmcoreinfo import VmcoreInfo

_PRESENT = 1  # SECTION_MARKED_PRESENT, include/linux/mmzone.h
_SECTION_BITS = range(20, 40)
#: More entries of mem_section than this are damage; riscv64 has 2^22.
_MAX_ROOTS = 1 << 30
#: Bytes that are read at once of tables that may be large and almost empty.
_CHUNK = 4096
#: No page frame is as high.
_END = 1 << 64


class Model:
    """How one kernel finds struct pages."""

    @property
    def reason(self) -> str:
        """Why a part of its tables could not be read; "" if all could."""
        return ""

    def span(self, pfn: int) -> tuple[int, int]:
        """Return the base of a page frame, and the first frame behind it that may have another one.

        A frame's struct page is at the base plus the frame's number times the size of a struct
        page. Base 0 is for frames that have none.
        """
        raise NotImplementedError


class Flat(Model):
    """FLATMEM: one array, which begins with the node's first frame (alloc_node_mem_map()).

    mem_map is the struct page of ARCH_PFN_OFFSET, which each architecture defines differently; but
    the node itself tells its first frame.
    """

    def __init__(self, space: AddressSpace, info: VmcoreInfo, size: int) -> None:
        """Read the node; raises SaverError where VMCOREINFO or memory do not tell of it, OSError.

        size is that of a struct page in bytes.
        """
        node = info.need("symbol", "contig_page_data")
        abi = space.memory.abi
        first, start, count = [
            abi.long(space.read(node + info.need("offset", f"pglist_data.{name}"), abi.word))
            for name in ("node_mem_map", "node_start_pfn", "node_spanned_pages")
        ]
        self._start, self._end = start, start + count
        self._base = first - start * size & abi.mask

    def span(self, pfn: int) -> tuple[int, int]:
        """See Model."""
        if pfn < self._start:
            return 0, self._start
        return (self._base, self._end) if pfn < self._end else (0, _END)


class Sparse(Model):
    """SPARSEMEM, with vmemmap or without: memory is in sections, each with a base of its own.

    mem_section is a table of pages of struct mem_section (SPARSEMEM_EXTREME), or of these
    themselves. Only a small part of it may be in use: only that is read.
    """

    def __init__(self, space: AddressSpace, sizes: Sizes, table: int, *, static: bool) -> None:
        """Take the table at an address; static says that it has the structs, not pages of them."""
        self._sizes = sizes
        self._table = table
        self._per_root = 1 if static else sizes.per_root
        self._static = static
        self._roots, self._entries = _Words(space), _Words(space)

    @property
    def reason(self) -> str:
        """See Model."""
        return self._roots.reason or self._entries.reason

    def span(self, pfn: int) -> tuple[int, int]:
        """See Model."""
        sizes = self._sizes
        section = pfn // sizes.pages
        return self._base(section), (section + 1) * sizes.pages

    def _base(self, section: int) -> int:
        sizes = self._sizes
        index, place = divmod(section, self._per_root)
        if index >= sizes.count:
            return 0
        if self._static:
            root = self._table + index * sizes.entry
        else:
            root = self._roots.at(self._table + index * self._roots.word)
        if not root:
            return 0
        encoded = self._entries.at(root + place * sizes.entry + sizes.member)
        return encoded & ~sizes.flags if encoded & _PRESENT else 0


class Sizes:
    """What VMCOREINFO tells of the table of sections.

    count     entries of mem_section
    pages     page frames of a section
    entry     bytes of struct mem_section; member is where section_mem_map lies in it
    per_root  structs in a page of them
    flags     the low bits of section_mem_map that are not part of the address: PFN_SECTION_SHIFT of
              them, but no more than an offset in a page has (include/linux/mmzone.h)
    static    whether mem_section has an entry for each possible section
    """

    def __init__(self, info: VmcoreInfo, page_size: int, word: int) -> None:
        """Raises SaverError for what is missing, or makes no sense."""
        bits = info.number("SECTION_SIZE_BITS")
        if bits not in _SECTION_BITS or bits is None:
            raise SaverError("VMCOREINFO has no NUMBER(SECTION_SIZE_BITS)")
        self.pages = max(1, (1 << bits) // page_size)
        self.entry = info.need("size", "mem_section")
        self.member = info.need("offset", "mem_section.section_mem_map")
        if not word <= self.entry <= 1024 or not 0 <= self.member <= self.entry - word:
            raise SaverError(f"VMCOREINFO: a mem_section of {self.entry} bytes")
        self.count = info.length("mem_section") or 1
        if not 0 < self.count <= _MAX_ROOTS:
            raise SaverError(f"VMCOREINFO: LENGTH(mem_section) is {self.count}")
        self.per_root = max(1, page_size // self.entry)
        self.flags = min(self.pages, _CHUNK) - 1
        physical = info.number("MAX_PHYSMEM_BITS") or 0
        self.static = self.count << bits == 1 << min(max(physical, 0), 64)


def models(space: AddressSpace, info: VmcoreInfo, *, size: int, page_size: int) -> Iterator[Model]:
    """Yield the models that may be meant: the right one leads to struct pages.

    size and page_size are the bytes of a struct page and of a page. Raises SaverError, OSError.
    """
    if info.symbol("mem_section") is None and info.offset("pglist_data.node_mem_map") is not None:
        if info.symbol("contig_page_data") is None and info.symbol("node_data") is not None:
            raise SaverError("the memory model of the crashed kernel, DISCONTIGMEM, is not known")
        yield Flat(space, info, size)
        return
    table = info.need("symbol", "mem_section")
    sizes = Sizes(info, page_size, space.memory.abi.word)
    if sizes.static:
        yield Sparse(space, sizes, table, static=True)
        return
    # The symbol is the table, or a pointer to it: VMCOREINFO_SYMBOL_ARRAY of a pointer, or
    # VMCOREINFO_SYMBOL.
    yield Sparse(space, sizes, table, static=False)
    pointer = _Words(space).at(table)
    if pointer:
        yield Sparse(space, sizes, pointer, static=False)


class _Words:
    """Longs by their kernel addresses, from large tables: the part that was read last is kept."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self.word = space.memory.abi.word
        self._part: tuple[int, bytes] = (-1, b"")
        self.reason = ""  # why the last part could not be read

    def at(self, address: int) -> int:
        """Return the long at an address; 0 if it is not there: ELF dumps leave out zero pages."""
        skip = address % _CHUNK
        start, data = self._part
        if start != address - skip:
            start = address - skip
            try:
                data = self._space.read(start, _CHUNK)
            except (SaverError, OSError) as error:
                data, self.reason = b"", describe(error)
            self._part = start, data
        return self._space.memory.abi.long(data, skip)
