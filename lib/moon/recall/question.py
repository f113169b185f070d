"""What a question asks for: words to look for, phrases, what to leave out, limits, times, and the kind of answer.

Pure: text in, a `Query` out. Whatever the text is, nothing in it is ever run as an FTS5 expression: every word and
phrase is quoted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from moon.fulltext.words import UNSPACED, fold, searchable, stem, words
from moon.recall.concepts import related
from moon.recall.language import FILLER_WEIGHT, FILLERS, STOP_WORDS, forms_of

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
    is_name: bool = False


class Query(NamedTuple):
    """A question, understood."""

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


def quoted(text: str) -> str:
    """A text as an FTS5 string: a word, or a phrase of adjacent words."""
    return '"' + text.replace('"', " ") + '"'


def parse(text: str) -> Query:
    """Understand a question. Never fails; what cannot be searched for is in `notes`."""
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
    phrases = [(minus, words(searchable(inner))) for minus, inner in _PHRASE.findall(rest)]
    rest = _PHRASE.sub(" ", rest)
    excluded = [quoted(" ".join(inner)) for minus, inner in phrases if minus and inner]
    excluded += [quoted(" ".join(words(searchable(word)))) for word in _EXCLUDED.findall(rest)]
    rest = _EXCLUDED.sub(" ", rest)
    exact = [inner for minus, inner in phrases if inner and not minus]
    # Within a question, quotation marks name a title or a saying; alone, they ask for exactly this.
    is_question = text.rstrip().endswith("?")
    spoken = " ".join([rest, *(" ".join(inner) for inner in exact)]) if is_question else rest
    terms = [*(_phrase(inner) for inner in exact), *_terms(spoken)]
    if len(terms) > MAX_TERMS:
        notes.append(f"only the first {MAX_TERMS} words were searched for")
    return Query(
        text=text,
        terms=tuple(_unique(terms)[:MAX_TERMS]),
        required=() if is_question else tuple(quoted(" ".join(inner)) for inner in exact),
        excluded=tuple(excluded),
        roles=tuple(fields.get("role", ())),
        tools=tuple(fields.get("tool", ())),
        agent=fields.get("agent", [None])[-1],
        session=fields.get("session", [None])[-1],
        folded=fold(rest),
        notes=tuple(notes),
    )


def _unique(terms: list[Term]) -> list[Term]:
    """Each stem once; the first wins."""
    return list({term.sequence or min(term.stems): term for term in reversed(terms)}.values())[::-1]


def _phrase(inner: list[str]) -> Term:
    stems = tuple(stem(word) for word in inner)
    return Term(" ".join(inner), quoted(" ".join(inner)), frozenset(stems), weight=PHRASE_WEIGHT, sequence=stems)


def _terms(text: str) -> list[Term]:
    """The words and identifiers of a text without phrases and fields; stop words only where there is nothing else."""
    identifiers = [match.group() for match in _IDENTIFIER.finditer(text) if _is_identifier(match.group())]
    for each in identifiers:
        text = text.replace(each, " ")
    names = _names(text)
    spread = words(searchable(text))
    content = [
        word for word in spread if word not in STOP_WORDS and (len(word) > 1 or not word.isascii() or word.isdigit())
    ]
    if not content and not identifiers:
        content = list(dict.fromkeys(spread))
    parts = [word for each in identifiers for word in words(each) if len(word) > 2 and word not in STOP_WORDS]
    return [
        *(_phrase(words(each)) for each in identifiers),
        *(_word(word, stem(word) in names) for word in content),
        *(Term(word, quoted(word), frozenset({stem(word)}), weight=PART_WEIGHT) for word in parts),
    ]


def _is_identifier(text: str) -> bool:
    """Is it more than words joined by hyphens? `ABC-1234`, `src/a.py`, `10.0.0.7:8443`; not `well-known`."""
    parts = words(text)
    return len(parts) > 1 and (
        any(part.isdigit() for part in parts) or not set(text) & {"-"} or "/" in text or "_" in text
    )


def _names(text: str) -> set[str]:
    """Stems of words that are capitalised within the text: names, mostly."""
    return {stem(fold(word)) for word in re.findall(r"(?<=[\w,;:'\"(] )[A-Z][^\W\d_]+", text)}


def _word(word: str, is_name: bool) -> Term:
    if UNSPACED.fullmatch(word) and len(word) == 1:
        return Term(word, quoted(word) + "*", frozenset({word}))
    if _HASH_START.fullmatch(word):
        return Term(word, quoted(word) + "*", frozenset({stem(word)}))
    forms = forms_of(word)
    near = () if is_name else related(word)
    return Term(
        text=word,
        match=" OR ".join(quoted(form) for form in forms),
        stems=frozenset(stem(form) for form in forms),
        weight=FILLER_WEIGHT if stem(word) in FILLERS else 1.0,
        related=" OR ".join(quoted(other) for other in near),
        related_stems=frozenset(stem(form) for other in near for form in forms_of(other)),
        is_name=is_name,
    )
