# SPDX-License-Identifier: GPL-2.0-or-later
"""Unified kernel images: an add-on with words more for all of them (systemd-stub(7)).

ukify(1) makes it, without --linux: systemd 255 and newer. Where Secure Boot rules, the firmware
wants it signed; so it is, with the keys that kernel-install signs UKIs with.
"""

from __future__ import annotations

import configparser
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import KdumpInitrdError
from ..core.run import run
from . import commandlines, crashwords
from .changes import Edit
from .loader import Loader

_PATIENCE = 120.0
#: Where kernel-install's plug-in tells ukify how to sign, and the options of its keys there.
_CONFIGURATION = ("etc/kernel/uki.conf", "usr/lib/kernel/uki.conf")
_SIGNING = {
    "SecureBootPrivateKey": "--secureboot-private-key",
    "SecureBootCertificate": "--secureboot-certificate",
    "SecureBootCertificateDir": "--secureboot-certificate-dir",
    "SecureBootCertificateName": "--secureboot-certificate-name",
    "SecureBootSigningTool": "--signtool",
    "SigningEngine": "--signing-engine",
}


class Uki(Loader):
    """An add-on beside the UKIs, in the folder of those that are for all."""

    @property
    def own(self) -> Path | None:
        """See Loader; on the file system that the UKIs are on."""
        images = [path for each in self.facts.reads for path in commandlines.files(each, self.root)]
        return images[0].parents[2] / self.facts.file if images else None

    def own_words(self) -> list[str]:
        """See Loader."""
        own = self.own
        found = commandlines.embedded(own, self.root) if own and own.exists() else None
        return crashwords.words_of(found or "")

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader: an add-on is not a text file, so nothing in it is edited."""
        return []

    def change(
        self,
        plan: Sequence[Edit],
        remove: Sequence[str],
        add: Sequence[str],
        *,
        later: Sequence[Edit] = (),
    ) -> list[str]:
        """See Loader."""
        if self.own is None:
            return []
        if not add:
            Edit(self.own, None).apply()
            return []
        command = [*self.facts.run, f"--cmdline={' '.join(add)}", *self._signing()]
        if not self.root.is_host:
            return [shlex.join([*command, f"--output={self.root.inside(self.own)}"])]
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "addon"
            run([*command, f"--output={made}"], timeout=_PATIENCE)
            Edit(self.own, made.read_bytes()).apply()
        return []

    def _signing(self) -> list[str]:
        path = self.root.first_file(_CONFIGURATION)
        if path is None:
            return []
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[method-assign,assignment]
        try:
            parser.read_string(self.root.read_text(path), source=str(path))
        except configparser.Error as error:
            raise KdumpInitrdError(f"{path}: {error.message}") from error
        said = parser["UKI"] if parser.has_section("UKI") else {}
        return [f"{option}={said[key]}" for key, option in _SIGNING.items() if key in said]
