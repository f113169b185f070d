"""What a question asks for: words to look for, phrases, what to leave out, limits, times, and the kind of answer.

Pure: text in, a `Query` out. Whatever the text is, nothing in it is ever run as an FTS5 expression: every word and
phrase is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from moon.fulltext.languages import QuestionWord, guess, phrases, question_terms, stem, stop_words, word_terms
from moon.fulltext.words import UNSPACED, fold, question_words, words
from moon.recall.concepts import related
from moon.recall.language import FILLER_WEIGHT, FILLERS, ONLY_ENGLISH, STOP_WORDS, forms_of

MAX_CHARS = 10_000
MAX_TERMS = 32
MIN_PREFIX = 7
PHRASE_WEIGHT = 1.5
# Parts of an identifier find what is near it when the whole is nowhere.
PART_WEIGHT = 0.3

_FIELD = re.compile(r'(?<!\S)(role|tool|agent|session):("[^"]+"|\S+)', re.IGNORECASE)
_PHRASE = re.compile(r'(?<!\S)(-?)"([^"]*)"')
_EXCLUDED = re.compile(r"(?<!\S)-(\w[\w./:@-]*)")
# Something with inner punctuation and no space: a path, an address, a ticket, a version, a qualified name.
_IDENTIFIER = re.compile(r"[\w~]*(?:[./:@#_\\+-]+\w+)+/?|/\w+")
_ENDS_AS_QUESTION = re.compile(r"[?\uff1f\u061f\u037e]\s*(?:\[[^\]]*\]\s*)?$")
# How people ask who type no question mark; in other languages the mark is what tells.
_ASKING = re.compile(
    r"\s*(?:what|when|where|who|whose|whom|which|why|how|did|does|do|is|are|was|were|has|have|had|can|could|should|will|would)\b"
    r"|.*\u304b[\u3002.]?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_HASH_START = re.compile(rf"(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{{{MIN_PREFIX},64}}")


class Term(NamedTuple):
    """One thing to look for. `match` and `related` are FTS5 expressions, `stems` what a word of the text must stem to.

    `weight` says how much of the question it is, before its rarity counts. A phrase has several `sequence` stems.
    """

    text: str
    match: str
    stems: frozenset[str]
    weight: float = 1.0
    related: str = ""
    related_stems: frozenset[str] = frozenset()
    sequence: tuple[str, ...] = ()


class Query(NamedTuple):
    """A question, understood. `asked` are its words in order, each as the terms that the index may hold for it; `small`
    those that are not searched for. `asks` is false for bare words (see `asks`).
    """

    text: str
    terms: tuple[Term, ...]
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    agent: str | None = None
    session: str | None = None
    folded: str = ""
    notes: tuple[str, ...] = ()
    asked: tuple[frozenset[str], ...] = ()
    small: tuple[frozenset[str], ...] = ()
    asks: bool = True


def asks(text: str) -> bool:
    """Does this ask something? If not, it is bare words: key words, or what somebody remembers of what was said."""
    return bool(_ASKING.match(text)) or ends_as_question(text)


def ends_as_question(text: str) -> bool:
    """Does a text end with a question mark, of whatever script? A picture's caption may stand behind it."""
    return bool(_ENDS_AS_QUESTION.search(text))


def quoted(text: str) -> str:
    """A text as an FTS5 string: a word, or a phrase of adjacent words."""
    return '"' + text.replace('"', " ") + '"'


def any_of(sequences: Iterable[Sequence[str]]) -> str:
    """An FTS5 expression for rows that hold one of these words or phrases."""
    return " OR ".join(quoted(" ".join(each)) for each in sequences)


def parse(text: str, languages: Sequence[str] = ()) -> Query:
    """Understand a question to an index that holds these languages. Never fails; what cannot be searched for is in
    `notes`.
    """
    notes = []
    if len(text) > MAX_CHARS:
        notes.append(f"the query was cut after {MAX_CHARS} characters")
        text = text[:MAX_CHARS]
    # Half characters (bytes of a command line that are no UTF-8) can be neither searched nor printed.
    text = text.encode("utf-8", "replace").decode()
    rest = text.replace("\0", " ").replace("\u2019", "'").replace("\u201c", '"').replace("\u201d", '"')
    fields: dict[str, list[str]] = {}
    for name, value in _FIELD.findall(rest):
        fields.setdefault(name.lower(), []).append(value.strip('"'))
    rest = _FIELD.sub(" ", rest)
    is_question = asks(rest)
    phrased = [(minus, inner) for minus, inner in _PHRASE.findall(rest) if words(inner)]
    rest = _PHRASE.sub(" ", rest)
    excluded = [inner for minus, inner in phrased if minus] + [each for each in _EXCLUDED.findall(rest) if words(each)]
    rest = _EXCLUDED.sub(" ", rest)
    exact = [inner for minus, inner in phrased if not minus]
    # Within a question, quotation marks name a title or a saying; alone, they ask for exactly this.
    spoken = " ".join([rest, *exact]) if is_question else rest
    terms = [*(_phrase(inner, languages) for inner in exact), *_terms(spoken, languages)]
    if len(terms) > MAX_TERMS:
        notes.append(f"only the first {MAX_TERMS} words were searched for")
    asked = [each.terms for each in question_terms(spoken, languages)][: 2 * MAX_TERMS]
    sought = frozenset[str]().union(*(term.stems for term in terms))
    return Query(
        text=text,
        terms=tuple(_unique(terms)[:MAX_TERMS]),
        required=() if is_question else tuple(any_of(phrases(inner, languages)) for inner in exact),
        excluded=tuple(any_of(phrases(each, languages)) for each in excluded),
        roles=tuple(fields.get("role", ())),
        tools=tuple(fields.get("tool", ())),
        agent=fields.get("agent", [None])[-1],
        session=fields.get("session", [None])[-1],
        folded=fold(rest),
        notes=tuple(notes),
        asked=tuple(asked),
        small=tuple(dict.fromkeys(each for each in asked if not each & sought)),
        asks=is_question,
    )


def _unique(terms: list[Term]) -> list[Term]:
    """Each stem once; the first wins."""
    return list({term.sequence or min(term.stems): term for term in reversed(terms)}.values())[::-1]


def _phrase(inner: str, languages: Sequence[str]) -> Term:
    ways = phrases(inner, languages)
    stems = frozenset(term for way in ways for term in way)
    text = " ".join(question_words(inner))
    return Term(text, any_of(ways), stems, weight=PHRASE_WEIGHT, sequence=ways[0])


def _stop_words(text: str, languages: Sequence[str]) -> frozenset[str]:
    """Those of the language that the question is in, where the archive holds it."""
    if set(languages) <= {"en"} or not ONLY_ENGLISH.isdisjoint(words(text)):
        return STOP_WORDS
    language = guess(text, languages[0], languages)
    return stop_words(language) if language in languages and language != "en" else STOP_WORDS


def _terms(text: str, languages: Sequence[str]) -> list[Term]:
    """The words and identifiers of a text without phrases and fields; stop words only where there is nothing else."""
    identifiers = [match.group() for match in _IDENTIFIER.finditer(text) if _is_identifier(match.group())]
    for each in identifiers:
        text = text.replace(each, " ")
    names = _names(text)
    stops = _stop_words(text, languages)
    spread = question_terms(text, languages)
    content = [each for each in spread if _says_something(each.word, stops)]
    if not content and not identifiers:
        content = list(dict.fromkeys(spread))
    parts = [word for each in identifiers for word in question_terms(each, languages) if len(word.word) > 2]
    return [
        *(_phrase(each, languages) for each in identifiers),
        *(_word(each, languages, () if each.word in names else related(each.word)) for each in content),
        *(_part(each) for each in parts if each.word not in stops),
    ]


def _says_something(word: str, stops: frozenset[str]) -> bool:
    return word not in stops and (len(word) > 1 or not word.isascii() or word.isdigit())


def _part(word: QuestionWord) -> Term:
    return Term(word.word, any_of([each] for each in sorted(word.terms)), word.terms, weight=PART_WEIGHT)


def _is_identifier(text: str) -> bool:
    """Is it more than words joined by hyphens? `ABC-1234`, `src/a.py`, `10.0.0.7:8443`; not `well-known`."""
    parts = words(text)
    return len(parts) > 1 and (
        any(part.isdigit() for part in parts) or not set(text) & {"-"} or "/" in text or "_" in text
    )


def _names(text: str) -> set[str]:
    """Words that are capitalised within the text: names, mostly."""
    return {fold(word) for word in re.findall(r"(?<=[\w,;:'\"(] )[A-Z][^\W\d_]+", text)}


def _word(asked: QuestionWord, languages: Sequence[str], near: Sequence[str]) -> Term:
    word, own = asked
    if UNSPACED.fullmatch(word) and len(word) == 1:
        return Term(word, quoted(word) + "*", frozenset({word}))
    if _HASH_START.fullmatch(word):
        return Term(word, quoted(word) + "*", frozenset({word}))
    stems = own.union(*(word_terms(form, languages) for form in forms_of(word)))
    near_stems = frozenset[str]().union(*(word_terms(form, languages) for other in near for form in forms_of(other)))
    return Term(
        text=word,
        match=any_of([each] for each in sorted(stems)),
        stems=stems,
        weight=FILLER_WEIGHT if stem(word) in FILLERS else 1.0,
        related=any_of([each] for each in sorted(near_stems - stems)),
        related_stems=near_stems - stems,
    )
