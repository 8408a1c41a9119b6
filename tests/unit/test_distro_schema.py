# SPDX-License-Identifier: GPL-2.0-or-later
"""Profiles that are wrong: one clear line that says where, and a hint; never a traceback."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kdump_initrd.commands.profiletext import lines
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles

SHIPPED = search_path("distros", root=Root(Path("/nonexistent")))
LIST, STRING = "expected a list of strings", "expected a string"
FILE = "expected the name of a file, without a /"
RELATIVE = "expected a path without a / in front and without .."
ABSOLUTE = "expected a path that begins with /, without .."
WORDS = (
    "expected only the words {release}, {entry_token}, {pkgbase}, {loader_linux}, {loader_initrd}"
)


def refused(folder: Path, text: str) -> KdumpInitrdError:
    """Load a profile of that text, and return the error; the path in its message is left out."""
    path = folder / "broken.toml"
    path.write_text(text)
    with pytest.raises(KdumpInitrdError) as caught:
        profiles.load("broken", search_path=(folder, *SHIPPED), root=Root())
    error = caught.value
    assert error.message.startswith(f"{path}:")
    return KdumpInitrdError(error.message[len(f"{path}:") :], hint=error.hint)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('nmae = "X"', "2: nmae: unknown key", "did you mean name?"),
        ('nam = "X"', "2: nam: unknown key", "did you mean name?"),
        ("[kernal]", "2: kernal: unknown key", "did you mean kernel?"),
        ('[dump]\n\n# x\ndirectry = "x"', "5: dump.directry: unknown key",
         "did you mean dump.directory?"),
        ('[kernel]\nfirst_imag = "x"', "3: kernel.first_imag: unknown key",
         "did you mean kernel.first_image?"),
        ('[dump]\nbusybox = ["x"]', "3: dump.busybox: unknown key",
         "did you mean tools.busybox?"),
        ('busybox = ["x"]', "2: busybox: unknown key", "did you mean tools.busybox?"),
        ("dump.pat = 'x'", "2: dump.pat: unknown key", "did you mean dump.path?"),
        ("[config]\nper = ''", "3: config.per: unknown key", "did you mean config.peer?"),
        ("[config]\nzzz = ''", "3: config.zzz: unknown key", "expected one of peer"),
        ("[cmdline]\ncomon = []", "3: cmdline.comon: unknown key", "did you mean cmdline.common?"),
        ("[cmdline]\nx86-64 = []", "3: cmdline.x86-64: unknown key",
         "did you mean cmdline.x86_64?"),
        ("[initrd.x]\nmarks = []\nfiles = {}\nfile = {}", "5: initrd.x.file: unknown key",
         "did you mean initrd.x.files?"),
        ('"a\\nb" = 1', "2: 'a\\nb': unknown key", "expected one of"),
    ],
)  # fmt: skip
def test_an_unknown_key_has_a_nearest_one(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    error = refused(tmp_path, f'inherits = "linux"\n{text}')
    assert error.message == message
    assert error.hint is not None
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 1", f"2: name: {STRING}"),
        ("name = ''", "2: name: '': expected a word"),
        ("ids = 'x'", f"2: ids: {LIST}"),
        ("files = 'x'", f"2: files: {LIST}"),
        ("files = ['/x']", f"2: files: '/x': {RELATIVE}"),
        ("ids = ['a b']", "2: ids: 'a b': expected the name of a profile, without .toml"),
        ("dump = 1", "2: dump: expected [dump]"),
        ("[[dump]]", "2: dump: expected [dump]"),
        ("[dump]\npath = 1", f"3: dump.path: {STRING}"),
        ("[dump]\npath = 'var/crash'", f"3: dump.path: 'var/crash': {ABSOLUTE}"),
        ("[dump]\npath = '/var/../etc'", f"3: dump.path: '/var/../etc': {ABSOLUTE}"),
        ("[dump]\ndirectory = ''", f"3: dump.directory: '': {FILE}"),
        ("[dump]\ndump = 'a/b'", f"3: dump.dump: 'a/b': {FILE}"),
        ("[dump]\ndmesg = '%D'", f"3: dump.dmesg: '%D': {FILE}"),
        ("[dump]\nreadme = '..'", f"3: dump.readme: '..': {FILE}"),
        ("[dump]\ncapture_log = 'a/b'", f"3: dump.capture_log: 'a/b': {FILE}"),
        ("[dump]\ncodecs = 'lzo'", f"3: dump.codecs: {LIST}"),
        ("[dump]\ncodecs = []", "3: dump.codecs: expected at least one"),
        ("[dump]\ncodecs = ['lzo', 'zst']", "3: dump.codecs: 'zst': did you mean zstd?"),
        ("[dump]\ncodecs = ['lzo',\n'bzip2']", "3: dump.codecs: 'bzip2': did you mean zlib?"),
        ("[dump]\ncodecs = ['7']",
         "3: dump.codecs: '7': expected one of lzo, snappy, zstd, zlib"),
        ("[dump]\ncodecs = [1]", f"3: dump.codecs: {LIST}"),
        ("[config]\npeer = 'kdump-util'",
         "3: config.peer: 'kdump-util': did you mean kdump-utils?"),
        ("[config]\npeer = 'x'",
         "3: config.peer: 'x': expected one of kdump-utils, suse-kdump, kdump-tools, \"\""),
        ("[tools]\nshell = 'sh'", f"3: tools.shell: {LIST}"),
        ("[tools]\nshell = ['/bin/sh']", f"3: tools.shell: '/bin/sh': {RELATIVE}"),
        ("[hardware]\nnvme = 'nvme'", f"3: hardware.nvme: {LIST}"),
        ("[hardware]\nnvme = ['a b']",
         "3: hardware.nvme: 'a b': expected the name of a kernel module"),
        ("[filesystems]\next4 = ['../x']",
         "3: filesystems.ext4: '../x': expected the name of a kernel module"),
        ("[cmdline]\ncommon = ['']", "3: cmdline.common: '': expected a word"),
        ("[kernel]\nfirst_image = ['x']", f"3: kernel.first_image: {STRING}"),
        ("[kernel]\nimage = ['boot/{foo}']", f"3: kernel.image: 'boot/{{foo}}': {WORDS}"),
        ("[kernel]\ninitrd = ['boot/{release']", f"3: kernel.initrd: 'boot/{{release': {WORDS}"),
        ("[kernel]\ninitrd = ['boot/{}']", f"3: kernel.initrd: 'boot/{{}}': {WORDS}"),
        ("[kernel]\ninitrd = ['/boot/x']", f"3: kernel.initrd: '/boot/x': {RELATIVE}"),
        ("[kernel]\nmodules = ['{pkgbase}']",
         "3: kernel.modules: '{pkgbase}': expected only the words {release}"),
        ("[kernel]\ncapture_image = 'boot/{entry_token}'",
         "3: kernel.capture_image: 'boot/{entry_token}': expected only the words {release}"),
        ("[kernel]\nfirst_image = 'boot/{release}'",
         f"3: kernel.first_image: 'boot/{{release}}': {FILE}"),
        ("[kernel]\nfirst_image = 'x-{releas}'",
         "3: kernel.first_image: 'x-{releas}': expected only the words {release}"),
        ("[kernel]\nversions = 'rpn'", "3: kernel.versions: 'rpn': did you mean rpm?"),
        ('[dump]\npath = "/a\\u0000b"',
         "3: dump.path: '/a\\x00b': a control character: leave it out"),
        ('[cmdline]\ncommon = ["a\\nb"]',
         "3: cmdline.common: 'a\\nb': a control character: leave it out"),
        ("initrd = 1", "2: initrd: expected [initrd]"),
        ("[initrd]\nx = 1", "3: initrd.x: expected [initrd.x]"),
        ("[initrd.x]\nmarks = []", "2: initrd.x: files is missing"),
        ("[initrd.x]\nfiles = {}", "2: initrd.x: marks is missing"),
        ("[initrd.x]\nmarks = 'init'\nfiles = {}", f"3: initrd.x.marks: {LIST}"),
        ("[initrd.x]\nmarks = [1]\nfiles = {}", f"3: initrd.x.marks: {LIST}"),
        ("[initrd.x]\nmarks = []\nfiles = []", "4: initrd.x.files: expected [initrd.x.files]"),
        ("[initrd.x]\nmarks = []\nfiles = { a = 1 }", f"4: initrd.x.files.a: {STRING}"),
        ("[initrd.x]\nmarks = []\nfiles = {}\nfeatures = 1",
         "5: initrd.x.features: expected [initrd.x.features]"),
        ("[initrd.x]\nmarks = []\nfiles = {}\nfeatures = { a = [] }",
         f"5: initrd.x.features.a: {STRING}"),
        ("[initrd.x]\nmarks = ['../x']\nfiles = {}", f"3: initrd.x.marks: '../x': {RELATIVE}"),
        ("[initrd.x]\nmarks = []\nfiles = { '/x' = 'y' }", f"4: initrd.x.files./x: {RELATIVE}"),
        ("[initrd.x]\nmarks = []\nfiles = { 'x' = '../y' }",
         f"4: initrd.x.files.x: '../y': {RELATIVE}"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(tmp_path: Path, text: str, message: str) -> None:
    error = refused(tmp_path, f'inherits = "linux"\n{text}\n')
    assert (error.message, error.hint) == (message, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[", "1: not TOML: "),
        ("a = 1\na = 2", "2: not TOML: "),
        ("inherits = 5", f"1: inherits: {STRING}"),
        ("inherits = '../linux'", "1: inherits: '../linux': "),
        (f"a = {'9' * 5000}", " not TOML: "),
        (f"a = {'[' * 5000}", " not TOML: nested too deeply"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert refused(tmp_path, text).message.startswith(message)


def test_what_is_no_file_and_no_text(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin1.toml").write_bytes(b'name = "\xe4"')
    for name, reason in {"folder": "Is a directory", "latin1": "1: not UTF-8"}.items():
        with pytest.raises(KdumpInitrdError, match=rf"{name}\.toml:.*{reason}"):
            profiles.load(name, search_path=(tmp_path, *SHIPPED), root=Root())


#: Lines of TOML, some of them right, and what may stand between them.
LINE = st.one_of(
    st.text(max_size=12),
    st.sampled_from([
        'inherits = "linux"', 'inherits = "x"', "[kernel]", "[dump]", "[initrd.x]", "[cmdline]",
        "[[initrd]]", "marks = ['a']", "files = { a = 'b' }", "image = ['boot/{release}']", "[",
        "path = '/x'", "common = []", "name = 'X'", "name = \"\\u0000\"", "ids = ['x']", '"""',
        "initrd.x = 1", "kernel.image = {}", "x.y.z = 1979-05-27", "hardware = { a = ['b'] }",
    ]),
)  # fmt: skip


@given(st.lists(LINE, max_size=8).map("\n".join))
@example("inherits = 'x'")
@example("[initrd.'a\\u007fb']\nmarks = []\nfiles = {}")
@settings(max_examples=300)
def test_a_broken_profile_is_one_line(tmp_path: Path, text: str) -> None:
    own = tmp_path / "etc/kdump-initrd/distros"
    own.mkdir(parents=True, exist_ok=True)
    (own / "x.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    try:
        found = list(lines(tmp_path, "x"))
    except KdumpInitrdError as error:
        for said in (error.message, error.hint or "x"):
            assert said.isprintable()
            assert said
    else:
        assert found[0].startswith("# The profile x")


@given(st.none())
@settings(max_examples=1)
def test_an_example_may_be_stopped_for_a_while(_: None) -> None:
    """As on a busy machine: hypothesis by itself fails what takes longer on the clock."""
    usual = settings.get_profile("default").deadline
    assert usual is not None
    time.sleep(1.5 * usual.total_seconds())
