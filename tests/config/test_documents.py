# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents have every key, and say of it what the tables do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kdump_initrd.config import native
from kdump_initrd.config.capturesettings import capture_settings
from kdump_initrd.config.findings import TARGET
from kdump_initrd.config.peers import PEERS, dumpoptions
from kdump_initrd.config.peers.keys import Key, PeerFile

from .reading import read

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "configuration.md").read_text(encoding="utf-8")
PAGE = (DOCS / "man/kdump-initrd.toml.5").read_text(encoding="utf-8").replace("\\-", "-")


def row(key: Key) -> str:
    """Return the row of the guide's table for a key."""
    kind = "read" if key.use else "warning"
    text = key.becomes
    if text.startswith("error: "):
        kind, text = "error", text.removeprefix("error: ")
    idle = ", ".join(f"`{value}`" for value in key.idle)
    text = text.replace("<", "&lt;").replace(">", "&gt;")
    return f"| `{key.name}` | {kind} | {text} | {idle} |".replace("|  |", "| |")


@pytest.mark.parametrize(
    "file", [file for files in PEERS.values() for file in files], ids=lambda file: file.name
)
def test_guide_has_every_key_of_the_peers(file: PeerFile) -> None:
    sections = re.split(r"^#+ ", GUIDE, flags=re.MULTILINE)
    tables = [text for text in sections if text.startswith(f"/{file.name}\n")]
    rows = [[line for line in text.splitlines() if line.startswith("| `")] for text in tables]
    assert [row(key) for key in file.keys] in rows


def test_no_key_is_in_a_table_twice() -> None:
    for files in PEERS.values():
        for file in files:
            names = [key.name for key in file.keys]
            assert len(names) == len(set(names))


def test_guide_has_the_options_of_makedumpfile() -> None:
    table = GUIDE.partition("| option | setting |")[2].partition("\n\n")[0]
    for option in (*dumpoptions._CODECS, *dumpoptions._IDLE, "-d", "-E", "-F"):
        assert f"`{option}" in table, option


def test_page_has_every_key_with_its_default() -> None:
    sections = dict(
        re.findall(r"^\.SS \[(.*?)\]\n(.*?)(?=^\.S[SH])", PAGE, re.DOTALL | re.MULTILINE)
    )
    known = dict(native.KEYS)
    sections["target"] = sections.pop("[target]")
    assert sections.keys() == {*known, "target"}
    for name, rows in {**known, "target": TARGET}.items():
        tagged = re.findall(
            r"^\.TP\n\.BR? (.*)\n((?:.*\n)*?)(?=\.TP|\Z)", sections[name], re.MULTILINE
        )
        found = {}
        for tags, paragraph in tagged:
            for key in tags.replace('" ', " ").replace(' "', " ").replace(",", "").split():
                found[key] = paragraph
        assert list(found) == list(rows)
        for key, setting in rows.items():
            default = getattr(setting.default, "value", setting.default)
            if isinstance(default, (str, int)) and default != "":
                assert str(default).lower() in found[key], f"{key}: default {default}"
            for choice in setting.choices:
                assert choice in found[key], f"{key}: {choice}"


def test_examples_are_read(tmp_path: Path) -> None:
    page = PAGE.partition(".SH EXAMPLE\n.nf\n")[2].partition(".fi")[0]
    lines = GUIDE.partition("# /etc/kdump-initrd.toml\n")[2].partition("\n\n    [refresh]")
    guide = "".join(lines[0] + lines[1] + lines[2].partition("\n\n")[0]).replace("\n    ", "\n")
    for text in (page, guide.strip()):
        found = read(tmp_path, {native.NAME: text})
        assert found.errors == []
        assert {"targets", "append_cmdline", "add_modules", "kernels"} <= set(found.values)
        (target,) = capture_settings(found.values, {}).targets
        assert (target.to[:5], target.fstype, target.path) == ("UUID=", "ext4", "/crash")
