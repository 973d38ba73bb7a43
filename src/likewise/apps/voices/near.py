"""Near misses: what is said almost like a word, and must not be taken for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from likewise.apps.voices.speakers import phonemes

CONSONANTS = "bdfgklmnprstvz"
VOWELS = "aeiouAEIOUV0123@#"  # in espeak-ng's writing of sounds


def near_misses(word: str, words: Sequence[str], number: int, accent: str, rng: np.random.Generator) -> list[str]:
    """Words made of `word`: half of them cut off at the beginning or end, half with one consonant for another.

    A cut leaves at least half of the letters ("alex", "lexa"). Vowels stay: to most ears "elexa" is "alexa". Left out
    is what espeak-ng would say like one of `words`, with it inside, or like another near miss; and what has another
    consonant in writing but not in sound ("komputer").

    Args:
        word: the word.
        words: all that are to be found.
        number: of near misses; fewer where there are not as many.
        accent: a voice of espeak-ng.
        rng: what the draw comes from.
    """
    least = -(-len(word) // 2)
    cuts = {cut.strip() for end in range(least, len(word)) for cut in (word[:end], word[-end:])}
    changed = {
        word[:i] + other + word[i + 1 :]
        for i, letter in enumerate(word.lower())
        if letter.isalpha() and letter not in "aeiouyhw"
        for other in CONSONANTS
        if other != letter
    }
    tried = [_shuffled(part, rng) for part in (cuts, changed - cuts)]
    candidates = [each for pair in itertools.zip_longest(*tried) for each in pair if each]

    whole = [phonemes(each, accent) for each in words]
    consonants = {_without_vowels(each) for each in whole}
    found: dict[str, str] = {}  # by how they are said
    for candidate in candidates:
        if len(found) == number:
            break
        said = phonemes(candidate, accent)
        alike = candidate in changed and _without_vowels(said) in consonants
        if said and not alike and not any(each in said for each in whole):
            found.setdefault(said, candidate)
    return list(found.values())


def _without_vowels(said: str) -> str:
    return "".join(sound for sound in said if sound not in VOWELS)


def _shuffled(candidates: set[str], rng: np.random.Generator) -> list[str]:
    ordered = sorted(candidates)
    return [ordered[i] for i in rng.permutation(len(ordered))]
