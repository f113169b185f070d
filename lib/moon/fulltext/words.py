"""Words as the index sees them: what SQLite's `porter unicode61` tokenizer makes of a text, said again in Python.

Ranking compares words of a question with words of a message outside SQLite, so both must be cut and stemmed alike;
`tests/unit/test_fulltext_words.py` holds this module against SQLite itself. The stemmer is Porter's algorithm of 1980
(M. F. Porter, "An algorithm for suffix stripping", Program 14/3), in the variant that FTS5 uses.
"""

from __future__ import annotations

import functools
import re
import unicodedata

WORD = re.compile(r"[^\W_]+")
# Scripts written without spaces between words; they are indexed as overlapping pairs of characters.
UNSPACED = re.compile(
    "[\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0002fa1f]+"
)

ESCAPED = re.compile(r"\\[nrt]([^\W_]+)")

VOWELS = "aeiou"
STEP_2 = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "logi": "log",
    "bli": "ble",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
}
STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
STEP_4 = {
    "ement": "",
    "ance": "",
    "ence": "",
    "able": "",
    "ible": "",
    "ment": "",
    "ent": "",
    "ion": "",
    "ant": "",
    "ism": "",
} | {"ate": "", "iti": "", "ous": "", "ive": "", "ize": "", "al": "", "er": "", "ic": "", "ou": ""}


def _longest_first(endings: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(endings.items(), key=lambda pair: -len(pair[0])))


ENDINGS_2, ENDINGS_3, ENDINGS_4 = _longest_first(STEP_2), _longest_first(STEP_3), _longest_first(STEP_4)


def fold(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(char for char in plain if not unicodedata.combining(char))).lower()


def words(text: str) -> list[str]:
    """The folded words of a text, in order."""
    return WORD.findall(fold(text))


def pairs(run: str) -> list[str]:
    """A run of characters without spaces as overlapping pairs and its last character: `東京都` → 東京, 京都, 都."""
    return [run[at : at + 2] for at in range(len(run))]


def indexable(text: str) -> str:
    """The text that the tokenizer is given: as it is, but unspaced scripts spread out into pairs, and words that stand
    right behind an escape in a command (`allow\\ndeny`) once more at the end, without its letter.
    """
    if "\\" in text:
        text = " ".join([text, *ESCAPED.findall(text)])
    if text.isascii() or not UNSPACED.search(text):
        return text
    return UNSPACED.sub(lambda run: " " + " ".join(pairs(run.group())) + " ", text)


def searchable(text: str) -> str:
    """A question cut as `indexable` cuts a text; a run's last character alone would not fit a longer run."""
    if text.isascii() or not UNSPACED.search(text):
        return text
    return UNSPACED.sub(lambda run: " " + " ".join(pairs(run.group())[: max(1, len(run.group()) - 1)]) + " ", text)


@functools.lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of a folded word: `deployments` → `deploy`."""
    if len(word) < 3 or len(word) > 64 or not word.isascii():
        return word
    word = _without_past(_without_plural(word))
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    word = _replace_ending(_replace_ending(word, ENDINGS_2, 0), ENDINGS_3, 0)
    return _without_last_e(_replace_ending(word, ENDINGS_4, 1))


def _without_plural(word: str) -> str:
    if (word.endswith("sses") and len(word) > 4) or (word.endswith("ies") and len(word) > 3):
        return word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def _without_past(word: str) -> str:
    if len(word) > 3 and word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        root = word[: -len(ending)]
        if word.endswith(ending) and _has_vowel(root):
            return _mended(root)
    return word


def _mended(root: str) -> str:
    """What is left after -ed or -ing, with its e back (`hop` + ing, but `hope` + ing)."""
    if root.endswith(("at", "bl", "iz")):
        return root + "e"
    if len(root) > 1 and root[-1] == root[-2] and _consonant(root, len(root) - 1) and root[-1] not in "lsz":
        return root[:-1]
    if _measure(root) == 1 and _short_end(root):
        return root + "e"
    return root


def _replace_ending(word: str, endings: tuple[tuple[str, str], ...], least: int) -> str:
    for ending, other in endings:
        if word.endswith(ending):
            root = word[: -len(ending)]
            if _measure(root) > least and (ending != "ion" or root[-1:] in ("s", "t")):
                return root + other
            return word
    return word


def _without_last_e(word: str) -> str:
    if word.endswith("e"):
        root = word[:-1]
        measure = _measure(root)
        if measure > 1 or (measure == 1 and not _short_end(root)):
            word = root
    if word.endswith("ll") and _measure(word[:-1]) > 1:
        word = word[:-1]
    return word


def _consonant(word: str, at: int) -> bool:
    if word[at] == "y":
        return at == 0 or not _consonant(word, at - 1)
    return word[at] not in VOWELS


def _measure(word: str) -> int:
    """How often a vowel is followed by a consonant."""
    count = 0
    after_consonant = True
    for at in range(len(word)):
        consonant = _consonant(word, at)
        count += consonant and not after_consonant
        after_consonant = consonant
    return count


def _has_vowel(word: str) -> bool:
    return any(not _consonant(word, at) for at in range(len(word)))


def _short_end(word: str) -> bool:
    """Does it end consonant, vowel, consonant other than w, x, y?"""
    end = len(word)
    return (
        end >= 3
        and _consonant(word, end - 3)
        and not _consonant(word, end - 2)
        and _consonant(word, end - 1)
        and word[-1] not in "wxy"
    )
