"""The language of a prompt, by its small words."""

from __future__ import annotations

import pytest

from langcache.engine.verify.language import ENGLISH, OTHER_SCRIPT, UNKNOWN, guess_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Rezepte ohne Fleisch", "German"),
        ("Erinnere mich in 10 Minuten", "German"),
        ("Timer auf drei Minuten stellen", "German"),
        ("drei Tickets", "German"),
        ("recette avec viande", "French"),
        ("il me faut deux billets", "French"),
        ("un temporizador de dos minutos", "Spanish"),
        ("\u00bfAbren hoy?", "Spanish"),
        ("hotel senza colazione", "Italian"),
        ("receita sem carne", "Portuguese"),
        ("hotel zonder ontbijt", "Dutch"),
        ("\u6211\u8981\u4e24\u5f20\u7968", OTHER_SCRIPT),
        ("\u0413\u0434\u0435 \u043f\u043e\u0435\u0437\u0434?", OTHER_SCRIPT),
        ("how do I sort a list", ENGLISH),
        ("what does bitte mean", ENGLISH),
        ("the word hasta in English", ENGLISH),
    ],
)
def test_the_language_is_told_by_small_words(text, language):
    assert guess_language(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "hotel con colazione",
        "mit admission rate",
        "MIT admission rate",
        "closest ER",
        "los angeles zoo",
        "la la land cast",
        "die casting machines",
        "site:bbc.com climate change",
        "1 para summary",
        "non-compete",
        "C3H8 + O2 -> CO2",
        "DE -> ES transfer",
        "sans serif",
        "x = y",
        "",
    ],
)
def test_an_english_word_name_or_code_shows_no_other_language(text):
    assert guess_language(text) in (UNKNOWN, ENGLISH)


def test_what_the_model_is_not_asked_about_is_certain():
    assert guess_language("hotel con colazione") == UNKNOWN
    assert guess_language("hotel con colazione e piscina") == "Italian"
