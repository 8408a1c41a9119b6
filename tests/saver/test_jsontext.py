# SPDX-License-Identifier: GPL-2.0-or-later
"""The small JSON against Python's own."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdump_initrd.saver.low.jsontext import JsonError, dumps, loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 3))
@settings(max_examples=200)
def test_what_it_writes_is_what_json_reads_and_the_reverse(value: object, indent: int) -> None:
    assert json.loads(dumps(value, indent)) == value
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False)) == value
    assert loads(dumps(value, indent)) == value


def test_indented_text_is_json_s_own() -> None:
    value = {"a": [1, 2.5, None, True], "b": {}, "c": [], "d": {"e": "é\n\U0001f600\x7f"}}
    assert dumps(value) == json.dumps(value).replace("\x7f", "\\u007f")
    assert dumps(value, 2) == json.dumps(value, indent=2).replace("\x7f", "\\u007f")


@given(st.text(alphabet='[]{}",:0123456789.eE+-\\u tfnaldr \n', max_size=12))
@settings(max_examples=500)
def test_any_text_is_taken_or_refused_as_json_does(text: str) -> None:
    try:
        wanted = json.loads(text, parse_constant=_refuse)
    except ValueError:
        with pytest.raises(JsonError, match="not JSON at character"):
            loads(text)
    else:
        assert loads(text) == wanted


def _refuse(word: str) -> None:
    raise ValueError(word)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at character 0: expected a value"),
        ("[1,]", "at character 3: expected a value"),
        ('{"a" 1}', "at character 5: expected ':'"),
        ("{1: 2}", "expected '\"'"),
        ("01", "a number begins with 0"),
        ("1.", "expected a digit"),
        ('"a', "a string does not end"),
        ('"\n"', "a control character"),
        ('"\\q"', "an unknown escape"),
        ('"\\u12g4"', "expected four hexadecimal digits"),
        ("1 2", "expected nothing more"),
        ("[" * 1000, "nested more than 100 deep"),
        ("9" * 5000, "too many digits"),
        ("NaN", "expected a value"),
    ],
)
def test_refusals_say_what_and_where(text: str, message: str) -> None:
    with pytest.raises(JsonError) as caught:
        loads(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, b"bytes", {"set"}])
def test_values_without_a_form_in_json_are_refused(value: object) -> None:
    with pytest.raises(JsonError):
        dumps(value)
