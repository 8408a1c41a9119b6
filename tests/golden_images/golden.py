# SPDX-License-Identifier: GPL-2.0-or-later
"""The golden texts of all images: compared with what is there, or written anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher, unified_diff
from pathlib import Path

import pytest

from .merged import Damage, head_of, lines_of, merge, split

TOP = Path(__file__).parents[1] / "golden"
HOW = "pytest tests/golden_images --update-golden"
Texts = Mapping[str, str]


class Golden:
    """Texts by name, "profile/kind/part": the file "kind/part" has the text of each profile."""

    def __init__(self, top: Path, *, update: bool) -> None:
        self.top = top
        self.update = update
        self.report: list[str] = []
        self._before = {str(path.relative_to(top)): self._read(path)
                        for path in sorted(top.rglob("*")) if path.is_file()}  # fmt: skip
        self._now = {place: dict(texts) for place, texts in self._before.items()}
        self._seen: set[str] = set()

    def _read(self, path: Path) -> Texts:
        try:
            return split(path.read_text(encoding="utf-8"))
        except Damage as damage:
            if self.update:  # a conflict, as it may be: nothing of it stays
                return {}
            raise Damage(f"{path.name}: {damage} ({HOW} writes it anew)") from damage

    def text(self, name: str) -> str | None:
        """Return the text that is agreed upon, None where there is none."""
        owner, _, place = name.partition("/")
        return self._now.get(place, {}).get(owner)

    def check(self, name: str, text: str) -> None:
        """Fail where a text is another than the agreed one; with ``update`` it becomes that."""
        agreed = self.text(name)
        if self.update and name not in self._seen:
            owner, _, place = name.partition("/")
            self._seen.add(name)
            self._now.setdefault(place, {})[owner] = text
        elif agreed is None:
            pytest.fail(f"{name}: there is no golden text ({HOW} adds it)", pytrace=False)
        elif text != agreed:
            lines = unified_diff(lines_of(agreed), lines_of(text), "agreed", "found", lineterm="")
            said = "\n".join(lines)
            pytest.fail(f"{name} is not as agreed ({HOW} takes it over):\n{said}", pytrace=False)

    def keep(self, names: Collection[str]) -> None:
        """Fail where there are texts of other names; with ``update`` they go."""
        there = {f"{owner}/{place}" for place, texts in self._now.items() for owner in texts}
        left = sorted(there - set(names))
        if left and not self.update:
            pytest.fail(f"no image has these texts ({HOW} removes them): {left}", pytrace=False)
        for name in left:
            owner, _, place = name.partition("/")
            del self._now[place][owner]

    def write(self) -> None:
        """Write all files, and report what has changed in which images."""
        for place in sorted(self._now):
            texts, path = self._now[place], self.top / place
            self.report += changes(place, self._before.get(place, {}), texts)
            if texts:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(merge(texts), encoding="utf-8")
            else:
                path.unlink(missing_ok=True)


def changes(place: str, before: Texts, after: Texts) -> Iterator[str]:
    """Yield lines that say each change once, and in which images it is."""
    found: dict[str, list[str]] = {}
    for owner in sorted({*before, *after}):
        for change in _changes(before.get(owner), after.get(owner)):
            found.setdefault(change, []).append(owner)
    for change, owners in found.items():
        count = "1 image" if len(owners) == 1 else f"{len(owners)} images"
        yield f"{place}, {count}: {head_of(owners, {*before, *after})}"
        yield from (f"    {line}" for line in change.split("\n"))


def _changes(before: str | None, after: str | None) -> Iterator[str]:
    if before is None or after is None:
        yield "(gone)" if after is None else "(new)"
        return
    old, new = lines_of(before), lines_of(after)
    for what, start, end, first, last in SequenceMatcher(None, old, new, False).get_opcodes():
        if what != "equal":
            lines = [*(f"-{line}" for line in old[start:end]),
                     *(f"+{line}" for line in new[first:last])]  # fmt: skip
            yield "\n".join(lines)
