"""Secrets out of text, before it leaves the machine or enters a projection, index, memory file, map or pack.

Promise: the same text always gives the same result, redacting twice changes nothing, the time grows with the length of
the text and with nothing else, and what merely looks technical (hashes, commit ids, UUIDs, paths, versions) stays.
`tests/unit/test_redact.py` proves each of these.

Three layers. `readings.py` gives the text as it would be read: without colour codes, escapes, hard wraps.
`secret_search.py` looks for what `secret_rules.py` knows, in each reading and in what is encoded there. A `Redactor`
adds the user's own patterns and, where `kingfisher-secret-scanner` is installed, the rule set maintained there: that
one takes about a second to start, so only steps that write something lasting use it.
"""

from __future__ import annotations

import bisect
import importlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from moon.linear_regex import ByteSearch, PatternUnusable, user_pattern
from moon.readings import LONG_RUN, TOKEN_RUN, Reading, readings, with_stand_ins
from moon.secret_search import Found, Span, search, without_overlap

if TYPE_CHECKING:
    from moon.config import Redact

UserPattern = tuple[str, str]
"""A user's own rule: (name, regular expression)."""

_NOTHING: Mapping[str, int] = MappingProxyType({})


class Redacted(NamedTuple):
    """Text without its secrets, and how many of each kind were taken out."""

    text: str
    counts: Mapping[str, int] = _NOTHING

    @property
    def total(self) -> int:
        """How many secrets were taken out."""
        return sum(self.counts.values())


class SecretEngine(Protocol):
    """A rule set kept by somebody else."""

    def find(self, text: str) -> list[tuple[str, str]]:
        """Return (kind, secret) pairs; each secret occurs literally in `text`."""


def redact(text: str, extra_patterns: Iterable[UserPattern] = ()) -> Redacted:
    """Take secrets out of `text` with the built-in rules and `extra_patterns`.

    Each secret becomes `[redacted:<kind>]`, for instance `[redacted:github-token]`.
    """
    return (Redactor(extra_patterns) if extra_patterns else _BUILT_IN).redact(text)


# A cut can lay bare another secret, rarely, and text made for it could go on for ever: from the round named first,
# everything between the first and the last finding goes, in the last one everything behind the first.
WIDE_ROUND = 16
LAST_ROUND = 24
MOST_ENCODED = 3


class Redactor:
    """The redaction of one process: user patterns, built-in rules, and the rule set that `engine` loads when needed."""

    def __init__(
        self, patterns: Iterable[UserPattern] = (), engine: Callable[[], SecretEngine | None] | None = None
    ) -> None:
        self._patterns = tuple((name, _compiled(expression)) for name, expression in patterns)
        self._load_engine = engine
        self._engine: SecretEngine | None = None

    @classmethod
    def from_config(cls, section: Redact) -> Redactor:
        """The redaction that the configuration asks for."""
        patterns = [(each["name"], each["pattern"]) for each in section.patterns]
        return cls(patterns, kept_rule_set if section.rules == "auto" else None)

    def redact(self, text: str) -> Redacted:
        """Take secrets out of `text`. Raises `EngineMissing` where RE2 is not installed."""
        known: dict[str, str] = {}
        spans = self._first_found(text, known)
        if not spans:
            return Redacted(text)  # as most are
        counts: Counter[str] = Counter()
        for number in range(LAST_ROUND + 1):
            spans = spans if number == 0 else self._first_found(text, known)
            if not spans:
                break
            if number >= WIDE_ROUND:
                end = len(text) if number == LAST_ROUND else spans[-1].end
                spans = [spans[0]._replace(end=end)]
            text = _replace(text, spans)
            counts.update(span.kind for span in spans)
        return Redacted(text, dict(sorted(counts.items())))

    def _first_found(self, text: str, known: dict[str, str], depth: int = 0) -> list[Span]:
        """The secrets of the first reading that shows any, by their places in `text`, in order, none in another."""
        for reading in readings(text):
            spans = self._spans(reading, reading.text if reading.is_undressed else text, known, depth)
            if spans:
                return [_placed(span, reading) for span in without_overlap(spans)]
        return []

    def _spans(self, reading: Reading, text: str, known: dict[str, str], depth: int) -> list[Span]:
        """The secrets of one reading; `text` is what it shows, letter for letter."""
        found = search(reading)
        spans = found.spans
        for rank, (name, pattern) in enumerate(self._patterns, -len(self._patterns) - 1):
            found_here = (match.span() for match in pattern.finditer(text))
            spans += (Span(start, end, name, start, rank) for start, end in found_here)
        if self._load_engine is not None and LONG_RUN in reading.signs and _may_hide_a_token(text):
            spans += _literal_spans(reading.data, self._engine_values(text))
        if found.values:
            known.update(dict(list(found.values.items())[: max(0, MOST_KNOWN - len(known))]))
        if known:
            spans += _literal_spans(reading.data, known)
        if found.encoded and depth < MOST_ENCODED:
            spans += self._encoded_spans(found, known, depth)
        return _clear_of_markers(text, spans) if spans else spans

    def _engine_values(self, text: str) -> dict[str, str]:
        if self._engine is None and self._load_engine is not None:
            self._engine = self._load_engine()
        if self._engine is None:
            self._load_engine = None
            return {}
        return {secret: kind for kind, secret in self._engine.find(text)}

    def _encoded_spans(self, found: Found, known: dict[str, str], depth: int) -> Iterator[Span]:
        """The encoded runs in which something is found; all of them are looked through as one text."""
        begins, length = [], 0
        for decoded, _, _ in found.encoded:
            begins.append(length)
            length += len(decoded) + len(_BETWEEN)
        for inner in self._first_found(_BETWEEN.join(decoded for decoded, _, _ in found.encoded), known, depth + 1):
            _, start, end = found.encoded[bisect.bisect_right(begins, inner.start) - 1]
            yield Span(start, end, inner.kind, start, _LAST_RANK)


_BUILT_IN = Redactor()
_BETWEEN = "\n;\n"
_LAST_RANK = 1_000_000
MOST_KNOWN = 100
"""A text with more of them is a list of secrets, and each stands there with its name."""
_VALUES_AT_ONCE = 200


def _placed(span: Span, reading: Reading) -> Span:
    start, end = reading.origin(span.start, span.end)
    return span._replace(start=start, end=end)


def kept_rule_set() -> SecretEngine | None:
    """The rule set of `kingfisher-secret-scanner`, or None where that package is not installed or does not start."""
    try:
        return _Kingfisher(importlib.import_module("kingfisher_sdk").Scanner())
    except (ImportError, RuntimeError, ValueError, OSError):
        return None


def pattern_problem(expression: str) -> str | None:
    """Return why a user's pattern cannot be used, or None. Raises `EngineMissing`."""
    try:
        _compiled(expression)
    except PatternUnusable as error:
        return str(error)
    return None


class _Kingfisher:
    def __init__(self, scanner: Any) -> None:
        self._scanner = scanner

    def find(self, text: str) -> list[tuple[str, str]]:
        found = {}
        for finding in self._scanner.scan(text):
            kind = _kind_of(finding.rule_id)
            if finding.visible and not kind.endswith(_IDENTIFYING) and finding.secret in text:
                found[finding.secret] = kind
        return sorted((kind, secret) for secret, kind in found.items())


# Rules of the kept set that find what names an account rather than what opens it.
_IDENTIFYING = ("-id", "-host", "-domain", "-username", "-name", "-sid", "-address", "-public-key", "-pub-key", "-url")


def _kind_of(rule_id: str) -> str:
    """`betterleaks.pinecone-api-key.2` → `pinecone-api-key`."""
    name = re.sub(r"\.\d+$", "", (rule_id.partition(".")[2] or rule_id).lower())
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "secret"


# --- where secrets stand in a text ------------------------------------------------------------------------------------

_MARKER = re.compile(r"\[redacted:[a-z0-9-]+\]")
_TOKEN_RUN = re.compile(TOKEN_RUN)


def _clear_of_markers(text: str, spans: list[Span]) -> list[Span]:
    """The spans that, with the words that gave them away, do not reach into a marker."""
    marked = [match.span() for match in _MARKER.finditer(text)] if "[redacted:" in text else []
    begins = [begin for begin, _ in marked]
    return [span for span in spans if not _touches(span, marked, begins)]


def _touches(span: Span, marked: list[tuple[int, int]], begins: list[int]) -> bool:
    """Whether a span, or the words that gave it away, reach into a marker."""
    place = bisect.bisect_left(begins, span.end)
    return place > 0 and marked[place - 1][1] > span.seen_from


def _may_hide_a_token(text: str) -> bool:
    return any(not run.isdigit() and not run.isalpha() for run in _TOKEN_RUN.findall(text))


def _literal_spans(data: bytes, values: Mapping[str, str]) -> Iterator[Span]:
    """Every place of these values (value: kind) in a reading's bytes, some hundred of them in each pass."""
    kinds = {with_stand_ins(value).encode("latin-1", "replace"): kind for value, kind in values.items() if value}
    literals = sorted(kinds, key=lambda value: (-len(value), value))
    for begin in range(0, len(literals), _VALUES_AT_ONCE):
        part = literals[begin : begin + _VALUES_AT_ONCE]
        pattern = ByteSearch("|".join(re.escape(value.decode("latin-1")) for value in part))
        for (start, end), *_ in pattern.all(data):
            yield Span(start, end, kinds[data[start:end]], start, _LAST_RANK)


@lru_cache(maxsize=64)
def _compiled(expression: str) -> Any:
    return user_pattern(expression)


def _replace(text: str, spans: list[Span]) -> str:
    """Put a marker in place of each span, which are in order."""
    pieces, position = [], 0
    for span in spans:
        pieces += [text[position : span.start], f"[redacted:{span.kind}]"]
        position = span.end
    return "".join([*pieces, text[position:]])
