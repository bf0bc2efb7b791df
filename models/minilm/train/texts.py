"""The texts that all-MiniLM-L6-v2 is taught with: common ones and unusual ones.

Prompts and sentences alone would leave the 8-bit model weak where they have few examples: chat
phrases, other scripts, rare tokens, long texts. Such texts are made here, as token ids.
"""

from __future__ import annotations

import gzip
import json
import random
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

    Ids = list[int]

UNKNOWN, CLS, SEP = 100, 101, 102
FIRST_WORD, VOCABULARY = 999, 30522
MAX_TOKENS = 128
MAX_PROMPT_TOKENS = 64
HELD_OUT = 256
# Of all tokens of a batch; texts of one length are in one batch, so that none is padded.
BATCH_TOKENS = 768
PHRASES = Path(__file__).with_name("phrases.txt")


class Texts:
    """Draws texts of all kinds.

    Args:
        tokenizer: The model's tokenizer, without padding and truncation.
        near_misses: The file of near misses, which holds prompts.
        pairs: A file of pairs of sentences, in its first two columns.
    """

    def __init__(self, tokenizer: Tokenizer, near_misses: Path, pairs: Path) -> None:
        self.rng = random.Random(11)  # noqa: S311 - a seed for training
        self.tokens = [str(tokenizer.id_to_token(number)) for number in range(VOCABULARY)]
        prompts = encoded(tokenizer, read_prompts(near_misses), MAX_PROMPT_TOKENS)
        self.held_out, self.prompts = prompts[:HELD_OUT], prompts[HELD_OUT:]
        self.sentences = encoded(tokenizer, read_sentences(pairs), MAX_TOKENS)
        phrases = PHRASES.read_text(encoding="utf-8").splitlines()
        self.phrases = encoded(tokenizer, phrases, MAX_TOKENS)
        self.marks = [tokenizer.token_to_id(mark) for mark in "!?.…"]
        self.comma = tokenizer.token_to_id(",")
        self.scripts = pieces_by_script(self.tokens)

    def batches(self) -> Iterator[list[Ids]]:
        """Yield batches of texts of one length, without end."""
        kinds = {
            lambda: self.rng.choice(self.prompts): 45,
            lambda: self.rng.choice(self.sentences): 10,
            self.part: 18,
            self.talk: 14,
            self.foreign: 9,
            self.random_tokens: 4,
            self.several: 4,
        }
        draws, shares = list(kinds), list(kinds.values())
        waiting: dict[int, list[Ids]] = defaultdict(list)
        while True:
            text = enclosed(self.rng.choices(draws, shares)[0]())
            same = waiting[len(text)]
            same.append(text)
            if len(same) >= max(8, min(128, BATCH_TOKENS // len(text))):
                yield waiting.pop(len(text))

    def unusual(self) -> list[Ids]:
        """Return some of all kinds, most of them such as people seldom type."""
        return [
            *(self.foreign() for _ in range(1500)),
            *(self.part() for _ in range(700)),
            *(self.talk() for _ in range(500)),
            *(self.random_tokens() for _ in range(200)),
            *self.prompts[:1500],
        ]

    def part(self) -> Ids:
        """Return one to seven words from the midst of a text."""
        ids = self.rng.choice(self.prompts if self.rng.random() < 0.7 else self.sentences)
        start = self.rng.choice([at for at in range(len(ids)) if self.starts_word(ids[at])])
        end = min(len(ids), start + self.rng.randint(1, 7))
        while end < len(ids) and not self.starts_word(ids[end]):
            end += 1
        part = ids[start:end]
        if self.rng.random() < 0.6:
            part = [*part, *[self.rng.choice(self.marks)] * self.rng.choice((1, 1, 1, 3))]
        return part

    def starts_word(self, token: int) -> bool:
        """Return whether the token is the first of a word."""
        return not self.tokens[token].startswith("##")

    def talk(self) -> Ids:
        """Return one or two phrases of everyday talk, at times with a prompt after them."""
        ids = self.phrase()
        if self.rng.random() < 0.5:
            if self.rng.random() < 0.4 and ids[-1] not in self.marks:
                ids = [*ids, self.comma]
            ids = [*ids, *self.phrase()]
        if self.rng.random() < 0.15:
            ids = [*ids, *self.rng.choice(self.prompts)]
        return ids

    def phrase(self) -> Ids:
        """Return a phrase, with its own or other marks at its end."""
        ids = list(self.rng.choice(self.phrases))
        drawn = self.rng.random()
        if drawn < 0.35 and ids[-1] in self.marks:
            return ids[:-1]
        if drawn < 0.4:
            return [*ids, *[self.rng.choice(self.marks)] * (1 if drawn < 0.35 else 3)]
        return ids

    def foreign(self) -> Ids:
        """Return words of another script, drawn at random, with parts of prompts among them."""
        first, further = self.rng.choice(self.scripts)
        ids: Ids = []
        for _ in range(self.rng.randint(1, 6)):
            if self.rng.random() < 0.2:
                ids += self.rng.choice(self.prompts)[: self.rng.randint(1, 4)]
            elif self.rng.random() < 0.1:
                ids.append(UNKNOWN)
            else:
                ids.append(self.rng.choice(first))
                ids += [self.rng.choice(further) for _ in range(self.rng.randint(0, 6))]
        if self.rng.random() < 0.4:
            ids.append(self.rng.choice(self.marks))
        return ids

    def random_tokens(self) -> Ids:
        """Return up to 24 tokens that have nothing to do with each other."""
        return [self.rng.randrange(1000, VOCABULARY) for _ in range(self.rng.randint(1, 24))]

    def several(self) -> Ids:
        """Return several texts in one."""
        ids: Ids = []
        for _ in range(self.rng.randint(2, 8)):
            ids += self.rng.choice(self.prompts if self.rng.random() < 0.6 else self.sentences)
        return ids


def read_prompts(path: Path) -> list[str]:
    """Return all texts of a file of near misses, shuffled."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        groups = [json.loads(line) for line in file]
    texts = {
        text
        for group in groups
        for text in (
            group["prompt"],
            *group["same"],
            *(different["text"] for different in group["different"]),
        )
    }
    order = sorted(texts)
    random.Random(7).shuffle(order)  # noqa: S311 - a seed for training
    return order


def read_sentences(path: Path) -> list[str]:
    """Return the sentences of a file of pairs."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return sorted({sentence for row in rows[1:] for sentence in row[:2]})


def encoded(tokenizer: Tokenizer, texts: list[str], most: int) -> list[Ids]:
    """Return the tokens of each text, without special ones; `most` counts two of these."""
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [encoding.ids[: most - 2] for encoding in encodings]


def enclosed(ids: Ids) -> Ids:
    """Return the tokens as the model takes them."""
    return [CLS, *ids[: MAX_TOKENS - 2], SEP]


def pieces_by_script(tokens: list[str]) -> list[tuple[Ids, Ids]]:
    """Return the first and the further pieces of words of each script that has some of both."""
    scripts: dict[str, tuple[Ids, Ids]] = defaultdict(lambda: ([], []))
    for number, token in enumerate(tokens):
        piece = token.removeprefix("##")
        if number >= FIRST_WORD and piece and ord(piece[0]) > 0x24F:
            script = unicodedata.name(piece[0], "? ").split()[0]
            scripts[script][token.startswith("##")].append(number)
    return [pieces for pieces in scripts.values() if min(map(len, pieces)) >= 8]
