"""Numbers in words are read in each language."""

from __future__ import annotations

import re

import pytest

from langcache.engine.verify.number_words import NUMBER_WORDS, with_digits


def read(text, language):
    return with_digits(text, set(re.findall(r"[^\W\d_]+", text.lower())), language)


@pytest.mark.parametrize("language", NUMBER_WORDS)
def test_every_number_of_the_table_is_read(language):
    for words, number in NUMBER_WORDS[language].items():
        for written in (words, words.replace("-", " "), words.upper()):
            assert read(f"a {written}.", language) == f"a {number}."


@pytest.mark.parametrize("language", NUMBER_WORDS)
def test_the_table_has_2_to_19_and_tens_that_grow(language):
    numbers = set(NUMBER_WORDS[language].values())
    assert numbers >= {*range(2, 70), 70, 80, 90, 100, 1000}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("German", "zwei Millionen"),
        ("German", "zweihundert"),
        ("German", "um halb drei"),
        ("German", "drei vier Tage"),
        ("French", "deux cent trente"),
        ("French", "deux heures et demie"),
        ("Spanish", "dos mil"),
        ("Spanish", "las dos y media"),
        ("Italian", "due milioni"),
        ("Portuguese", "duas e meia"),
        ("Dutch", "half drie"),
        ("English", "two"),
        ("", "deux"),
        ("other script", "三四个"),
        ("other script", "一个"),
        ("other script", "十分好"),
        ("other script", "星期三"),
        ("other script", "三明治"),
    ],
)
def test_what_is_not_certain_stays_as_it_is(language, text):
    assert read(text, language) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("两张票", 2),
        ("十二个", 12),
        ("二十一个", 21),
        ("一百二十元", 120),
        ("两千五百块", 2500),
        ("三万人", 30000),
        ("一万二千人", 12000),
        ("一百零五人", 105),
        ("二〇二四年", 2024),
        ("第三章", 3),
        ("一点", 1),
        ("十分钟", 10),
    ],
)
def test_chinese_numerals_are_read(text, number):
    assert read(text, "other script").split()[-2 if text[0] != "第" else 1] == str(number)
