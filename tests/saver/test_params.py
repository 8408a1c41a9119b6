# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract between generator and saver."""

from __future__ import annotations

import json

import pytest

from kdump_initrd.saver.params import DumpParams, Params, ParamsError, TalkParams, TargetParams


def test_round_trip() -> None:
    params = Params(
        vmcore="/a b/\u00e9",
        watchdogs=("a", "b"),
        dump=DumpParams(format="elf", level=0),
        talk=TalkParams(console="/dev/kmsg"),
        targets=(TargetParams(keep_free=7), TargetParams(mount="/kdump")),
    )
    again = Params.from_json(params.to_json())
    assert again.plain() == params.plain() == json.loads(params.to_json())
    assert (again.vmcore, again.dump.level, again.watchdogs) == ("/a b/é", 0, ("a", "b"))
    first, second = again.targets
    assert (first.path, first.keep_free) == ("/var/crash", 7)
    assert (second.path, second.keep_free) == ("/kdump/var/crash", 5)


def test_what_is_not_said_has_its_default() -> None:
    params = Params.from_json('{"dump": {"level": 1}, "targets": [{}]}')
    assert params.plain() == {**Params().plain(), "dump": DumpParams(level=1).plain()}


def nested(path: str, value: object) -> dict[str, object]:
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": "red"}, "colour: no such parameter"),
        ({"self": "red"}, "self: no such parameter"),
        ({"from_json": "red"}, "from_json: no such parameter"),
        ({"dump": {"colour": "red"}}, "dump.colour: no such parameter"),
        ({"dump": 1}, "dump: expected an object, not 1"),
        ({"dump": {"level": "1"}}, "dump.level: expected a whole number, not '1'"),
        ({"dump": {"level": True}}, "dump.level: expected a whole number, not True"),
        ({"dump": {"level": 32}}, "dump.level: expected a level from 0 to 31, not 32"),
        ({"dump": {"jobs": -1}}, "dump.jobs: expected a number of workers from 0 (one per"),
        ({"limits": {"stall": 604801}}, "limits.stall: expected whole seconds from 0 (off) to"),
        ({"limits": {"final_action": ""}}, "limits.final_action: expected one of reboot, power"),
        ({"watchdogs": "a"}, "watchdogs: expected a list, not 'a'"),
        ({"watchdogs": ["a", 1]}, "watchdogs[1]: expected a text, not 1"),
        ({"targets": []}, "targets: expected at least one"),
        ({"targets": {}}, "targets: expected a list, not {}"),
        ({"targets": [{}, 1]}, "targets[1]: expected an object, not 1"),
        (
            {"targets": [{}, {"keep_free": -1}]},
            "targets[1].keep_free: expected a percentage from 0 to 99, or a size as 512M, not -1",
        ),
        (
            {"dump": {"format": "tar"}},
            "dump.format: expected one of kdump, elf, flat, none, not 'tar'",
        ),
        ({"dump": {"format": "flat", "collector": "/m"}}, "dump.collector: makedumpfile cannot"),
        *[
            (nested(field, name), f"{field}: {name!r} does not give the name of one file")
            for field in ("names.directory", "names.dump", "names.dmesg", "names.readme")
            for name in ("", "a/b", "/", ".", "..", "a\0b", "%D")
            if (field, name) != ("names.readme", "")
        ],
        *[
            ({"names": names}, message)
            for names, message in (
                ({"dmesg": "a", "dump": "a"}, "names.dmesg: another file of the crash has"),
                ({"dmesg": "%F", "dump": "%Y-%m-%d"}, "names.dmesg: another file of the"),
                ({"dump": "a", "dmesg": "a-incomplete"}, "has that name: a-incomplete"),
                ({"dump": "report.json"}, "names.dump: another file of the crash has that name"),
                ({"dmesg": "report.json.new"}, "names.dmesg: another file of the crash has that"),
                ({"readme": "report.json"}, "names.readme: another file of the crash has that"),
                ({"readme": "a", "dmesg": "a"}, "names.readme: another file of the crash"),
                ({"readme": "a", "dmesg": "a.new"}, "has that name: a.new"),
            )
        ],
        ({"dump": {"compress": "bzip2"}}, "dump.compress: expected one of auto, lzo, snappy"),
    ],
)
def test_refusals_name_the_parameter(values: dict[str, object], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        Params.from_json(json.dumps(values))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ParamsError, match=r"^parameters: "):
        Params.from_json(text)
