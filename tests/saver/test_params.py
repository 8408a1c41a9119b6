# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract between generator and saver."""

from __future__ import annotations

import json

import pytest

from kdump_initrd.saver.params import ParamsError, SaverParams


def test_round_trip() -> None:
    params = SaverParams(vmcore="/a b/\u00e9", dump_format="elf", dump_level=0, console="/dev/kmsg")
    again = SaverParams.from_json(params.to_json())
    assert {name: getattr(again, name) for name in SaverParams.names()} == json.loads(
        params.to_json()
    )
    assert (again.vmcore, again.dump_level, again.output) == ("/a b/é", 0, "/var/crash")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": "red"}, "colour: no such parameter"),
        ({"dump_level": "1"}, "dump_level: '1' is not of type int"),
        ({"dump_level": True}, "dump_level: True is not of type int"),
        ({"keep_free": 100}, "keep_free: 100 is out of range (0 to 99)"),
        ({"dump_format": "tar"}, "dump_format: 'tar' is not one of"),
        *[
            ({field: name}, f"{field}: {name!r} does not give the name of one file")
            for field in ("directory", "dump_name", "dmesg_name", "readme_name")
            for name in ("", "a/b", "/", ".", "..", "a\0b", "%D")
            if (field, name) != ("readme_name", "")
        ],
        ({"dmesg_name": "a", "dump_name": "a"}, "dmesg_name: another file of the crash has"),
        ({"dmesg_name": "%F", "dump_name": "%Y-%m-%d"}, "dmesg_name: another file of the"),
        ({"dump_name": "a", "dmesg_name": "a-incomplete"}, "has that name: a-incomplete"),
        ({"dump_name": "report.json"}, "dump_name: another file of the crash has that name"),
        ({"dmesg_name": "report.json.new"}, "dmesg_name: another file of the crash has that"),
        ({"readme_name": "report.json"}, "readme_name: another file of the crash has that"),
        ({"readme_name": "a", "dmesg_name": "a"}, "readme_name: another file of the crash"),
        ({"readme_name": "a", "dmesg_name": "a.new"}, "has that name: a.new"),
        ({"dump_compress": "bzip2"}, "dump_compress: 'bzip2' is not one of"),
    ],
)
def test_refusals_name_the_parameter(values: dict[str, object], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        SaverParams.from_json(json.dumps(values))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ParamsError, match=r"^parameters: "):
        SaverParams.from_json(text)
