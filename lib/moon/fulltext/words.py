"""What a word is: one rule for the index, the guard's probe, the question and the highlight, right for every script.

The functions that others use:

- `words(text)`: the folded words of a text, in order. Words hold only `a-z`, `0-9` and characters beyond ASCII, so
  FTS5's `ascii` tokenizer, which splits at every other ASCII character and nowhere else, gives back exactly the words
  that it was given between spaces. `tests/unit/test_fulltext_words.py` holds this against SQLite over all of Unicode.
- `places(text)`: the same words, each with where it stands in the text.
- `question_words(text)`: the words of a question (see there for what it leaves out).
- `fold(text)`: a text as words are compared, its punctuation left in place.

Words of one language and their stems are the matter of `moon.fulltext.languages`.

Folding is compatibility composition (NFKC: full-width letters, ligatures, superscripts, circled numbers, decomposed
Korean), case folding, digits of every script as `0-9`, and no accents on Latin, Greek and Cyrillic letters, no points
on Hebrew and Arabic ones. Vowel signs of Indic scripts and the like are letters of their words and stay. Invisible
format characters are dropped. Scripts that are written without spaces are cut into overlapping pairs.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

# Changes whenever the same text would give other words than before: an index made by another number is made anew.
RULE = 2

# Scripts written without spaces between words (and Korean, where endings hang on to nouns).
UNSPACED = re.compile(
    "[\u0e01-\u0e4e\u0e80-\u0ece\u0edc-\u0edf\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\u1b00-\u1b4f"
    "\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3100-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48f"
    "\ua960-\ua97f\ua980-\ua9ff\uaa60-\uaadf\uac00-\ud7ff\uf900-\ufaff"
    "\U00016fe0-\U00018d8f\U0001aff0-\U0001b2ff\U00020000-\U0003ffff]+"
)
# Accents and points that are not told apart: combining diacritics of Latin, Greek and Cyrillic, points of Hebrew,
# Arabic and Syriac, variation selectors. Nuktas (combining class 7) come on top.
_POINTS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u0898-\u089f\u08ca-\u08e1\u08e3-\u08ff"
    "\u180b-\u180d\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U000e0100-\U000e01ef]"
)
_NUKTA = 7
# Letters that Unicode does not take apart but writers do, and letters of Arabic script that keyboards mix up.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"}
    | {"ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ة": "ه", "ۀ": "ه", "ہ": "ه", "ھ": "ه", "ँ": "ं"}
)
# Letters without a sound or a shape: fillers of Korean, the stroke that stretches Arabic words, the okina.
_DROPPED = frozenset("\u115f\u1160\u3164\uffa0\u0640\u02bb")
_BREAKS = frozenset("\u02bc\u02b9")
_LETTER, _BREAK, _NOTHING = "x", " ", ""
# For text that is all ASCII, which most is: every byte in lower case, or a space. Twice as fast as a pattern.
_ASCII = bytes(ord(chr(code).lower()) if chr(code).isalnum() and code < 128 else 32 for code in range(256))
_ANY_CASE = re.compile("[A-Za-z0-9]+")
# Marks that stand on the letter before them, also those that Unicode does not call so.
_TAILS = frozenset("\uff9e\uff9f")


class Word(NamedTuple):
    """A folded word and where it stands in its text."""

    word: str
    start: int
    end: int


class _Characters(dict[int, str]):
    """A table for `str.translate` that is filled by use: character number → what a character becomes."""

    def __init__(self, *, keeps_punctuation: bool) -> None:
        super().__init__()
        self.keeps_punctuation = keeps_punctuation

    def __missing__(self, code: int) -> str:
        plain = [(each, _kind(each)) for each in _compatible(chr(code))]
        made = "".join(self._shown(each, kind) for each, kind in plain)
        if any(kind == _BREAK for _, kind in plain) and any(kind == _LETTER for _, kind in plain):
            made = f" {made} "  # `½` is 1 and 2, whatever stands before it
        self[code] = made
        return made

    def _shown(self, char: str, kind: str) -> str:
        if kind == _LETTER:
            return _with_plain_digit(char)
        return char if kind == _BREAK and self.keeps_punctuation else kind


def _compatible(char: str) -> str:
    """The case-folded compatibility form. Single letters of Korean stay single, they are no syllable (`ㅋㅋ`)."""
    if "\u3131" <= char <= "\u318e":
        return char
    folded = unicodedata.normalize("NFKC", char).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", folded))


def _kind(char: str) -> str:
    """`_LETTER` (or digit or mark) of a word, `_BREAK` between words, or `_NOTHING`."""
    category = unicodedata.category(char)
    if category == "Cf" or char in _DROPPED or _is_point(char):
        return _NOTHING
    # A character of a newer Unicode than this Python's is more likely a letter than anything else.
    return _LETTER if (category[0] in "LMN" or category == "Cn") and char not in _BREAKS else _BREAK


def _with_plain_digit(char: str) -> str:
    digit = unicodedata.digit(char, None)
    return char if digit is None else str(digit)


def _is_point(char: str) -> bool:
    return bool(_POINTS.match(char)) or unicodedata.combining(char) == _NUKTA


_APART = _Characters(keeps_punctuation=False)
_IN_PLACE = _Characters(keeps_punctuation=True)


def fold(text: str) -> str:
    """Lower case, without accents, compatibility forms and invisible characters; punctuation stays."""
    if text.isascii():
        return text.lower()
    return bare(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).translate(_IN_PLACE)))


def bare(text: str) -> str:
    """A lower-case text without accents and points: the last step of folding. Stemming comes before it."""
    if text.isascii():
        return text
    apart = "".join(char for char in unicodedata.normalize("NFD", text) if not _is_point(char))
    return unicodedata.normalize("NFC", apart).translate(_LETTERS)


def ascii_words(text: bytes) -> list[str]:
    """The words of a text that is all ASCII."""
    return text.translate(_ASCII).decode("ascii").split()


def accented_words(text: str) -> list[str]:
    """The words before accents are taken off, as stemmers want them; unspaced scripts in runs, not yet in pairs."""
    if text.isascii():
        return ascii_words(text.encode("ascii"))
    spread = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).translate(_APART))
    if UNSPACED.search(spread):
        spread = UNSPACED.sub(r" \g<0> ", spread)
    return spread.split()


def words(text: str) -> list[str]:
    """The folded words of a text, in order; a run of an unspaced script as its overlapping pairs and last character."""
    found = accented_words(text)
    return found if text.isascii() else [word for each in found for word in cut(bare(each))]


def question_words(text: str) -> list[str]:
    """The words of a question: without the last character of an unspaced run, which would not fit a longer run."""
    found = accented_words(text)
    return found if text.isascii() else [word for each in found for word in _asked(cut(bare(each)))]


def _asked(found: list[str]) -> list[str]:
    return found[:-1] if len(found) > 1 else found


def cut(folded: str) -> list[str]:
    """A folded word as it is indexed: `tokyo` → tokyo, `東京都` → 東京, 京都, 都."""
    if folded.isascii() or not UNSPACED.match(folded):
        return [folded] if folded else []
    return pairs(clusters(folded))


def pairs(units: list[str]) -> list[str]:
    """Overlapping pairs and the last unit: 東, 京, 都 → 東京, 京都, 都."""
    return [first + second for first, second in zip(units, units[1:], strict=False)] + units[-1:]


def clusters(run: str) -> list[str]:
    """The letters of a run, each with the marks that stand on it."""
    found: list[str] = []
    for char in run:
        if found and _is_tail(char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _is_tail(char: str) -> bool:
    # U+1160 to U+11FF are the vowels and final consonants of Korean syllables written in parts.
    return "\u1160" <= char <= "\u11ff" or char in _TAILS or unicodedata.category(char)[0] == "M"


def places(text: str) -> Iterator[Word]:
    """The words of a text with their places in it, in order; the words are those that `words` gives."""
    if text.isascii():
        return (Word(match.group().lower(), *match.span()) for match in _ANY_CASE.finditer(text))
    return iter(_Walk().over(text))


@functools.cache
def _pieces() -> re.Pattern[str]:
    """A space, a run of an unspaced script, or anything else; compiled when it is needed first, and few need it."""
    return re.compile(f" |{UNSPACED.pattern}|(?:(?!{UNSPACED.pattern})[^ ])+")


class _Walk:
    """Goes over a text letter by letter, each with its marks, and collects words with their places."""

    def __init__(self) -> None:
        self.found: list[Word] = []
        self.letters: list[Word] = []
        self.is_unspaced = False

    def over(self, text: str) -> list[Word]:
        start = 0
        for letter in clusters(text):
            end = start + len(letter)
            self._take(unicodedata.normalize("NFC", letter).translate(_APART), start, end)
            start = end
        self._close()
        return self.found

    def _take(self, made: str, start: int, end: int) -> None:
        for piece in _pieces().findall(made):
            if piece == " ":
                self._close()
                continue
            if bool(UNSPACED.match(piece)) != self.is_unspaced:
                self._close()
                self.is_unspaced = not self.is_unspaced
            for each in clusters(piece):
                self._add(each, start, end)

    def _add(self, letter: str, start: int, end: int) -> None:
        if self.letters and _is_tail(letter[0]):
            before = self.letters.pop()
            letter, start = before.word + letter, before.start
        self.letters.append(Word(letter, start, end))

    def _close(self) -> None:
        """End the word or the run that has been collected."""
        letters, self.letters = self.letters, []
        if not letters:
            return
        if not self.is_unspaced:
            word = bare(unicodedata.normalize("NFC", "".join(each.word for each in letters)))
            self.found += [Word(word, letters[0].start, letters[-1].end)] if word else []
            return
        for first, second in zip(letters, [*letters[1:], None], strict=True):
            last = second or first
            self.found.append(Word(bare(first.word + (second.word if second else "")), first.start, last.end))
