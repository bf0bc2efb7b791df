"""Filters in Redis's query syntax, against expressions made of objects."""

from __future__ import annotations

import pytest

from langcache.engine import Num, Tag, Text
from langcache.engine.filter_syntax import parse_filter

USER, AGE, TOPIC = Tag("user"), Num("age"), Text("topic")

EQUAL = {
    "@user:{ann}": USER == ["ann"],
    "@user:{ ann | bob }": USER == ["ann", "bob"],
    r"@user:{a\,b\|c\ d\}}": USER == ["a,b|c d}"],
    r"@user:{ \ ann\  | \  |bob\\ | a*\  }": (USER == [" ann ", " ", "bob\\"]) | (USER % ["a* "]),
    "@user:{a*}": USER % ["a*"],
    "@user:{ann|b*}": (USER == ["ann"]) | (USER % ["b*"]),
    "@user:{}": USER == [],
    "@age:[18 65]": AGE.between(18, 65),
    "@age:[(18 +inf]": AGE.between(18, float("inf"), "right"),
    "@age:[-inf, (-1.5e3]": AGE.between(float("-inf"), -1500, "left"),
    "@topic:wine": TOPIC == "wine",
    "@topic:wine*": TOPIC % "wine*",
    '@topic:("red wine")': TOPIC == "red wine",
    '@topic:"red wine"': TOPIC == "red wine",
    "@topic:(red wine)": (TOPIC == "red") & (TOPIC == "wine"),
    "@topic:(red | wine*)": (TOPIC == "red") | (TOPIC % "wine*"),
    "@topic:(%%wine%% -red)": (TOPIC % "%%wine%%") & ~(TOPIC == "red"),
    "(-@user:{ann})": ~(USER == ["ann"]),
    "-@user:{ann} @age:[1 2]": ~(USER == ["ann"]) & AGE.between(1, 2),
    "@topic:a | @topic:b @topic:c": (TOPIC == "a") | ((TOPIC == "b") & (TOPIC == "c")),
    "(@topic:a | @topic:b) @topic:c": ((TOPIC == "a") | (TOPIC == "b")) & (TOPIC == "c"),
    r"@a\-b:{c}": Tag("a-b") == ["c"],
}


@pytest.mark.parametrize("text", EQUAL)
def test_a_text_is_the_expression_that_it_says(text):
    assert parse_filter(text) == EQUAL[text]


def test_an_asterisk_is_no_filter():
    assert parse_filter(" * ") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wine",
        "@user",
        "@user:",
        "@user:{ann",
        "@user:{ann}}",
        "@age:[1]",
        "@age:[1 b]",
        "@age:[nan 1]",
        "@topic:(",
        "@topic:()",
        "@topic:(a))",
        '@topic:"..."',
        "@user:{ann} |",
        "@user:{ann} *",
        "-",
        "~@user:{ann}",
        "ismissing(@user)",
        "@user:{ann}=>{$weight:2}",
        r"@user:{a\**}",
        "@location:[1 2 3 km]",
        "(" * 200 + "@user:{a}" + ")" * 200,
        "@user:{" + "a" * 10_000 + "}",
    ],
)
def test_what_is_not_supported_is_refused(text):
    with pytest.raises(ValueError, match=r"^filter_expression: "):
        parse_filter(text)
