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
        ({"dump_level": 31}, "the page filter of higher levels is not there yet"),
        ({"dump_format": "tar"}, "dump_format: 'tar' is not one of"),
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
