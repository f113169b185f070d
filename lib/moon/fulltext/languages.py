"""Stems, stop words and a light guess at the language of a text.

The functions that others use:

- `index_terms(text, language)`: what the index stores for a row: the stems of its words, in order; never empty.
  `row_entry(text, before)` guesses the language first; `entry_of(text, language)` is what FTS5 is given.
- `terms(text, language)` and `term_places(text, language)`: the same stems, as ranking and highlighting compare them.
- `question_terms(text, languages)`: each word of a question with all that it may be stored as.
- `phrases(text, languages)`: a phrase as sequences of stems, one for each way that it may be stored.
- `guess(words, before)`: the language of a text; `stop_words(language)`; `stem(word, language)`.

Languages have their ISO 639-1 codes; "" is a language that is not known. A word is stemmed by the row's language when
that is written in the word's script, else by the commonest language of that script: an English word in a Hindi message
gets its English stem. Since a question knows nothing of rows, it asks for the stems of every language that the index
holds (`TextIndex.languages`), and for the word itself: a wrong guess at its language costs nothing.

Stemmers are Snowball's (PyStemmer), stop words are those of stopwords-iso; both are loaded when first used.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from moon.fulltext import words as word_rule
from moon.fulltext.words import UNSPACED, Word, accented_words, ascii_words, bare, cut, places, question_words, words

# Language → (script, Snowball's stemmer for it). Those without a stemmer are guessed at, so that none is misused.
LANGUAGES = {
    "en": ("Latin", "english"),
    "de": ("Latin", "german"),
    "fr": ("Latin", "french"),
    "es": ("Latin", "spanish"),
    "it": ("Latin", "italian"),
    "pt": ("Latin", "portuguese"),
    "nl": ("Latin", "dutch"),
    "sv": ("Latin", "swedish"),
    "no": ("Latin", "norwegian"),
    "da": ("Latin", "danish"),
    "fi": ("Latin", "finnish"),
    "et": ("Latin", "estonian"),
    "hu": ("Latin", "hungarian"),
    "ro": ("Latin", "romanian"),
    "tr": ("Latin", "turkish"),
    "pl": ("Latin", "polish"),
    "cs": ("Latin", "czech"),
    "ca": ("Latin", "catalan"),
    "eu": ("Latin", "basque"),
    "ga": ("Latin", "irish"),
    "id": ("Latin", "indonesian"),
    "lt": ("Latin", "lithuanian"),
    "hr": ("Latin", "serbian"),
    "sk": ("Latin", ""),
    "sl": ("Latin", ""),
    "lv": ("Latin", ""),
    "vi": ("Latin", ""),
    "sw": ("Latin", ""),
    "tl": ("Latin", ""),
    "el": ("Greek", "greek"),
    "ru": ("Cyrillic", "russian"),
    "uk": ("Cyrillic", ""),
    "bg": ("Cyrillic", ""),
    "hy": ("Armenian", "armenian"),
    "he": ("Hebrew", ""),
    "ar": ("Arabic", "arabic"),
    "fa": ("Arabic", "persian"),
    "ur": ("Arabic", ""),
    "hi": ("Devanagari", "hindi"),
    "mr": ("Devanagari", ""),
    "bn": ("Bengali", ""),
    "gu": ("Gujarati", ""),
    "ta": ("Tamil", "tamil"),
    "th": ("Thai", ""),
    "ja": ("Kana", ""),
    "zh": ("Han", ""),
    "ko": ("Hangul", ""),
}
# The first language that is named with a script is the one that a word of it is taken for when nothing tells more.
_OF_SCRIPT = {script: code for code, (script, _) in reversed(LANGUAGES.items())}
_SCRIPTS = (
    (0x0250, "Latin"), (0x0370, ""), (0x0400, "Greek"), (0x0530, "Cyrillic"), (0x0590, "Armenian"), (0x0600, "Hebrew"),
    (0x0700, "Arabic"), (0x0750, ""), (0x0780, "Arabic"), (0x08A0, ""), (0x0900, "Arabic"), (0x0980, "Devanagari"),
    (0x0A00, "Bengali"), (0x0A80, ""), (0x0B00, "Gujarati"), (0x0B80, ""), (0x0C00, "Tamil"), (0x0E00, ""),
    (0x0E80, "Thai"), (0x1E00, ""), (0x1F00, "Latin"), (0x2000, "Greek"), (0x3040, ""), (0x3100, "Kana"), (0x3400, ""),
    (0xA000, "Han"), (0xAC00, ""), (0xD7B0, "Hangul"), (0xF900, ""), (0xFB00, "Han"), (0x20000, ""), (0x40000, "Han"),
)  # fmt: skip

# Stands for a row that has no word at all (an emoji, a line of dashes), so that a search reaches this row too.
NO_WORD = "\u2205"
_ESCAPED = re.compile(r"\\[nrt]([^\W_]+)")
# Words written as one, as programmers do (`getUserName`), can also be found by their parts; not what is only encoded.
_JOINED = re.compile(r"\b(?=[A-Za-z]{4,40}\b)[A-Za-z]*[a-z][A-Z][A-Za-z]*")
_JOINS = b"aA"
_CASES = bytes(ord("a") if 97 <= code <= 122 else ord("A") if 65 <= code <= 90 else 32 for code in range(256))
_SEAM = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_STEMMED_CHARS = 64
_CACHED_WORDS = 200_000
# A guess looks at the beginning of a text; it must be told by so much, and by so much more than the second best.
_SAMPLE = 80
_LEAST = 1.0
_LEAD = 1.25
_FOREIGN_SHARE = 0.3
# With so many stop words of one language, nothing else needs to be asked.
_PLAIN_SHARE = 0.35


class QuestionWord(NamedTuple):
    """A word of a question, folded, and the terms of the index that answer to it (the word itself among them)."""

    word: str
    terms: frozenset[str]


def signature() -> str:
    """What the terms of an index depend on; terms made under another signature cannot be taken out again."""
    import unicodedata

    import Stemmer

    return f"{word_rule.RULE} unicode {unicodedata.unidata_version} snowball {Stemmer.version()}"


def script_of(word: str) -> str:
    """The script of a word's first letter, for scripts that a language is guessed by; else ""."""
    code = ord(word[0])
    return next((script for end, script in _SCRIPTS if code < end), "")


# stems


class _Stems(dict[str, str]):
    """Accented word → its term (of an unspaced run: its terms), for rows of one language; filled by use."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.language = language

    def __missing__(self, word: str) -> str:
        if UNSPACED.match(word):
            return " ".join(cut(bare(word)))  # not kept: such runs are long and seldom come again
        if len(self) > _CACHED_WORDS:
            self.clear()
        made = self[word] = _stemmed(word, self.language)
        return made


@functools.cache
def _stems(language: str) -> _Stems:
    return _Stems(language)


def _stemmed(word: str, language: str) -> str:
    if not 2 < len(word) <= _STEMMED_CHARS or any(char.isdigit() for char in word):
        return bare(word)
    script = script_of(word)
    own_script, algorithm = LANGUAGES.get(language, ("", ""))
    if script != own_script:
        algorithm = LANGUAGES.get(_OF_SCRIPT.get(script, ""), ("", ""))[1]
    return (bare(_stemmer(algorithm)(word)) if algorithm else "") or bare(word)


@functools.cache
def _stemmer(algorithm: str) -> Callable[[str], str]:
    import Stemmer

    made: Callable[[str], str] = Stemmer.Stemmer(algorithm, 0).stemWord  # no cache of its own: `_Stems` is one
    return made


def stem(word: str, language: str = "en") -> str:
    """The stem of one word: `deployments` → `deploy`."""
    return _stems(language)[word] if word else word


def terms(text: str, language: str) -> list[str]:
    """The terms of a text, in order: stems of words, pairs of unspaced scripts."""
    return _joined(row_words(text), language).split()


def _joined(found: Iterable[str], language: str) -> str:
    return " ".join(map(_stems(language).__getitem__, found))


class Entry(NamedTuple):
    """What the index keeps of a row's words: each of its terms once, and how many there are with repetitions."""

    language: str
    terms: str
    size: int


def row_entry(text: str, before: str) -> Entry:
    """A row in the language that is guessed; `before` is that of the row before it."""
    found = row_words(text)
    sample = found[:_SAMPLE]
    is_plain = before and text.isascii() and _is_mostly({*sample}, before)
    return _entry(found, before if is_plain else _guess(sample, before))


def entry_of(text: str, language: str) -> Entry:
    """A row of a known language: the same as when it was entered."""
    return _entry(row_words(text), language)


def _entry(found: Sequence[str], language: str) -> Entry:
    stems = _stems(language).__getitem__
    joined, size = " ".join({*map(stems, {*found})}), len(found)
    if not joined.isascii() and UNSPACED.search(joined):
        every = " ".join(map(stems, found)).split()  # a run of an unspaced script is many terms in one piece
        joined, size = " ".join({*every}), len(every)
    return Entry(language, joined or NO_WORD, size or 1)


def index_terms(text: str, language: str) -> list[str]:
    """The terms that a row of this language is stored under, in order; never empty."""
    return _joined(row_words(text), language).split() or [NO_WORD]


def row_words(text: str) -> list[str]:
    """The words of a row, not yet stemmed. Those right behind an escape in a command (`allow\\ndeny`) come once more at
    the end, without its letter, and so do the parts of joined words.
    """
    again = _ESCAPED.findall(text) if "\\" in text else []
    letters = text.encode("ascii", "replace")
    # Where no capital follows a small letter, which most texts show at once, the pattern need not look.
    if _JOINS in letters.translate(_CASES):
        again += [_SEAM.sub(" ", each) for each in dict.fromkeys(_JOINED.findall(text))]
    if again:
        return accented_words(" ".join([text, *again]))
    return ascii_words(letters) if text.isascii() else accented_words(text)


def term_places(text: str, language: str) -> Iterator[Word]:
    """The terms of a text with the places of their words."""
    stems = _stems(language)
    for found in places(text):
        spelled = text[found.start : found.end]
        if UNSPACED.match(found.word):
            yield found
        else:
            whole = accented_words(spelled)
            yield found._replace(word=stems[whole[0]] if len(whole) == 1 else found.word)


def question_terms(text: str, languages: Sequence[str]) -> list[QuestionWord]:
    """The words of a question, each with its stems in these languages."""
    found = []
    for word in accented_words(text):
        if UNSPACED.match(word):
            units = cut(bare(word))
            found += [QuestionWord(unit, frozenset({unit})) for unit in units[: max(1, len(units) - 1)]]
        else:
            found.append(QuestionWord(bare(word), word_terms(word, languages)))
    return found


def word_terms(word: str, languages: Sequence[str]) -> frozenset[str]:
    """All that a word may be stored as in rows of these languages: its stems, and itself."""
    return frozenset({bare(word), *(_stems(each)[word] for each in ("", *languages))})


def phrases(text: str, languages: Sequence[str]) -> list[tuple[str, ...]]:
    """The terms of adjacent words, one sequence for each way that rows of these languages may store them."""
    found = accented_words(text)
    ways = [tuple(_phrase(found, _stems(each))) for each in languages or ("",)]
    return [each for each in dict.fromkeys([*ways, tuple(question_words(text))]) if each]


def _phrase(found: Iterable[str], stems: _Stems) -> Iterator[str]:
    for word in found:
        units = stems[word].split()
        yield from units[: max(1, len(units) - 1)]


# which language


@functools.cache
def stop_words(language: str) -> frozenset[str]:
    """Folded words of a language that carry no content; empty for a language that has no list."""
    import stopwordsiso

    if not stopwordsiso.has_lang(language):
        return frozenset()
    listed = [words(each) for each in stopwordsiso.stopwords(language)]
    return frozenset(each[0] for each in listed if len(each) == 1)


@functools.cache
def _languages_by_stop_word(codes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Stop word → those of these languages that have it."""
    table: dict[str, tuple[str, ...]] = {}
    for code in codes:
        for word in stop_words(code):
            table[word] = (*table.get(word, ()), code)
    return table


def guess(text: str, before: str = "", among: Collection[str] = LANGUAGES) -> str:
    """The language of a text, one of `among`; `before` is that of what was said before, and is kept in doubt."""
    return _guess(accented_words(text)[:_SAMPLE], before, among)


def _guess(found: Sequence[str], before: str, among: Collection[str] = LANGUAGES) -> str:
    sample = set(found)
    is_ascii = "".join(found).isascii()
    if not is_ascii:
        sample = {word for each in found for word in cut(bare(each))}
    if before and _is_mostly(sample, before):
        return before
    sample = {word for word in sample if not word.isdigit()}
    if not sample:
        return before
    script = "Latin" if is_ascii else _main_script(sample)
    possible = _written_in(script, None if among is LANGUAGES else tuple(among))
    kept = before if before in possible or (script, before) == ("Han", "ja") else ""
    told = _by_stop_words(sample, possible, kept) if len(possible) > 1 else ""
    usual = possible[0] if possible and script != "Latin" else ""
    return told or kept or usual


def _is_mostly(sample: Set[str], language: str) -> bool:
    """Are so many of these words small ones of a language that nothing else needs to be asked?"""
    return len(stop_words(language) & sample) > _PLAIN_SHARE * len(sample)


@functools.cache
def _written_in(script: str, among: tuple[str, ...] | None) -> tuple[str, ...]:
    """The languages of a script, those that come first when nothing tells more before the others."""
    return tuple(
        code for code, (written_in, _) in LANGUAGES.items() if written_in == script and (among is None or code in among)
    )


def _main_script(sample: Collection[str]) -> str:
    """The script of most words; one that is not Latin wins with less, since names and terms are Latin everywhere."""
    counts: dict[str, int] = {}
    for word in sample:
        script = "Latin" if word.isascii() else script_of(word)
        counts[script] = counts.get(script, 0) + 1
    if counts.get("Kana", 0) and counts.get("Han", 0):
        counts["Kana"] += counts.pop("Han")
    other = {script: count for script, count in counts.items() if script != "Latin"}
    best = max(other, key=other.__getitem__, default="Latin")
    return best if other.get(best, 0) >= _FOREIGN_SHARE * len(sample) else "Latin"


def _by_stop_words(sample: Set[str], possible: tuple[str, ...], before: str) -> str:
    """The language whose stop words tell most, "" when too little; what was spoken before has a head start."""
    table = _languages_by_stop_word(possible)
    scores = {before: _LEAST} if before else {}
    for word in table.keys() & sample:
        languages = table[word]
        for code in languages:
            scores[code] = scores.get(code, 0.0) + 1 / len(languages)
    best = sorted(scores.items(), key=lambda pair: -pair[1])[:2]
    if not best or best[0][1] < _LEAST or (len(best) > 1 and best[0][1] < _LEAD * best[1][1]):
        return ""
    return best[0][0]
