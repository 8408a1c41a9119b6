# SPDX-License-Identifier: GPL-2.0-or-later
"""First kernels' initrds, made by the command line of small parts; and our segment read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core.compression import Codec

from .initrdwriter import UNPACK, bzimage, pipe, write_base, write_capture

#: The regular kernel's release.
REGULAR = "6.12.0-1-regular"


@dataclass(frozen=True)
class Parts:
    """A folder with a capture kernel, a capture initrd and a base."""

    top: Path
    kernel: Path
    capture: Path
    base: Path

    def argv(self, *options: str, base: Path | None = None) -> list[str]:
        """Return the words that make an image of the parts."""
        named = str(base or self.base)
        return ["-i", str(self.capture), "-v", str(self.kernel), "--base", named, *options, REGULAR]

    def make(self, out: Path, *options: str, base: Path | None = None) -> Path:
        """Make an image."""
        assert main(self.argv("-o", str(out), *options, base=base)) == 0
        return out


def make_parts(top: Path) -> Parts:
    """Make the parts: of the least size that is taken for what they are."""
    kernel = top / "capture-kernel"
    kernel.write_bytes(bzimage())
    base = write_base(top / "base.img")
    return Parts(top, kernel, write_capture(top / "capture.img"), base)


def ours(image: Path, base: Path, codec: Codec = Codec.ZSTD) -> bytes:
    """Return the archive that lies behind the base, unpacked by the codec's own program."""
    data, before = image.read_bytes(), base.read_bytes()
    assert data.startswith(before)
    rest = data[len(before) :]
    return pipe(UNPACK[codec], rest.lstrip(b"\0") if codec is Codec.NONE else rest)


def unpack(archive: bytes, folder: Path) -> Path:
    """Unpack an archive, over what is in the folder, as cpio does and a kernel would."""
    folder.mkdir(exist_ok=True)
    pipe(["cpio", "-idmu", "--quiet", "--no-absolute-filenames"], archive, cwd=folder)
    return folder
