# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden texts: what one file of several texts looks like, and what is said of a difference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .golden import TOP, Golden
from .merged import Damage, merge, split

MERGED = """\
@@ debian fedora rhel
#!/bin/sh
@@ debian
mount -t ext4
@@ all but debian
mount -t xfs
@@ fedora
sync
@@ all
exit
"""
TEXTS = {
    "debian": "#!/bin/sh\nmount -t ext4\nexit\n",
    "fedora": "#!/bin/sh\nmount -t xfs\nsync\nexit\n",
    "rhel": "#!/bin/sh\nmount -t xfs\nexit\n",
}


def test_each_line_is_there_once_with_its_owners() -> None:
    assert merge(TEXTS) == MERGED
    assert split(MERGED) == TEXTS


@given(st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.lists(st.sampled_from(["", "x", "y", "@@", " @@ all", "\x0c", "<<<<<<< a"]), max_size=8)
    .map(lambda lines: "".join(f"{line}\n" for line in lines)), min_size=1,
))  # fmt: skip
def test_nothing_is_lost(texts: dict[str, str]) -> None:
    assert split(merge(texts)) == texts


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a\nb", "the last line does not end: b"), ("@@ all\n", "a line begins with '@@ ': @@ all")],
)
def test_texts_that_cannot_be_kept(text: str, reason: str) -> None:
    with pytest.raises(Damage) as caught:
        merge({"debian": text})
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\n", "the first line does not name the owners: #!/bin/sh"),
        ("@@ a b\n@@ a c\n", "not among the owners of the first line: c"),
        ("@@ a b\n@@ all but c\n", "not among the owners of the first line: c"),
        ("@@ a b\nx", "the last line does not end: x"),
    ],
)
def test_files_that_nobody_wrote(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "init").write_text(text)
    with pytest.raises(Damage) as caught:
        Golden(tmp_path, update=False)
    assert str(caught.value).startswith(f"init: {reason} (pytest ")


def test_every_file_is_as_it_is_written() -> None:
    """No line is without owners, and none of a conflict is left."""
    for path in TOP.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert text == merge(split(text)), path


def store(top: Path, **places: Mapping[str, str]) -> Path:
    """Write golden files, and return their folder."""
    for place, texts in places.items():
        (top / "capture").mkdir(exist_ok=True)
        (top / "capture" / place).write_text(merge(texts))
    return top


def test_a_difference_names_image_and_path(tmp_path: Path) -> None:
    golden = Golden(store(tmp_path, init=TEXTS), update=False)
    golden.check("fedora/capture/init", TEXTS["fedora"])
    with pytest.raises(pytest.fail.Exception) as caught:
        golden.check("fedora/capture/init", TEXTS["rhel"])
    said = str(caught.value).splitlines()
    assert said[0].startswith("fedora/capture/init is not as agreed (pytest ")
    assert [line for line in said if line.startswith("-")] == ["--- agreed", "-sync"]


@pytest.mark.parametrize("name", ["ubuntu/capture/init", "debian/whole/init", "debian/capture/x"])
def test_a_text_that_is_not_there(tmp_path: Path, name: str) -> None:
    golden = Golden(store(tmp_path, init=TEXTS), update=False)
    with pytest.raises(pytest.fail.Exception) as caught:
        golden.check(name, "x\n")
    assert str(caught.value).startswith(f"{name}: there is no golden text (pytest ")


def test_a_text_that_no_image_has(tmp_path: Path) -> None:
    golden = Golden(store(tmp_path, init=TEXTS), update=False)
    golden.keep([f"{profile}/capture/init" for profile in TEXTS])
    with pytest.raises(pytest.fail.Exception) as caught:
        golden.keep(["debian/capture/init", "rhel/capture/init"])
    assert str(caught.value).endswith("['fedora/capture/init']")


def test_what_has_changed_is_said_once(tmp_path: Path) -> None:
    golden = Golden(store(tmp_path, init=TEXTS, gone=TEXTS, same=TEXTS), update=True)
    texts = {profile: text.replace("exit\n", "poweroff\n") for profile, text in TEXTS.items()}
    texts["rhel"] = texts["rhel"].replace("/sh", "/dash")
    texts["suse"] = texts["rhel"]
    for profile, text in texts.items():
        golden.check(f"{profile}/capture/init", text)
    for profile, text in TEXTS.items():
        golden.check(f"{profile}/capture/same", text)
    golden.keep([
        *(f"{profile}/capture/init" for profile in texts),
        *(f"{profile}/capture/same" for profile in TEXTS),
    ])  # fmt: skip
    golden.write()
    assert golden.report == [
        "capture/gone, 3 images: all",
        "    (gone)",
        "capture/init, 3 images: all but suse",
        "    -exit",
        "    +poweroff",
        "capture/init, 1 image: rhel",
        "    -#!/bin/sh",
        "    +#!/bin/dash",
        "capture/init, 1 image: suse",
        "    (new)",
    ]
    assert split((tmp_path / "capture/init").read_text()) == texts
    assert (tmp_path / "capture/same").read_text() == MERGED
    assert not (tmp_path / "capture/gone").exists()


def test_an_update_of_some_leaves_the_others(tmp_path: Path) -> None:
    golden = Golden(store(tmp_path, init=TEXTS), update=True)
    golden.check("debian/capture/init", "exit\n")
    golden.write()
    assert split((tmp_path / "capture/init").read_text()) == {**TEXTS, "debian": "exit\n"}


def test_one_image_has_one_text(tmp_path: Path) -> None:
    """What runs under several shells is the same under each."""
    golden = Golden(store(tmp_path), update=True)
    golden.check("debian/capture/run", "a\n")
    golden.check("debian/capture/run", "a\n")
    with pytest.raises(pytest.fail.Exception):
        golden.check("debian/capture/run", "b\n")


@pytest.mark.parametrize("first", ["@@ debian\n", ""])
def test_a_conflict_is_overwritten(tmp_path: Path, first: str) -> None:
    path = tmp_path / "capture/init"
    path.parent.mkdir()
    path.write_text(f"<<<<<<< HEAD\n{first}a\n=======\nb\n>>>>>>> other\n{MERGED}")
    golden = Golden(tmp_path, update=True)
    for profile, text in TEXTS.items():
        golden.check(f"{profile}/capture/init", text)
    golden.keep([f"{profile}/capture/init" for profile in TEXTS])
    golden.write()
    assert path.read_text() == MERGED
