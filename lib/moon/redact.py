"""Secrets out of text, before it leaves the machine or enters a projection, index, memory file, map or pack.

Promise: the same text always gives the same result, redacting twice changes nothing, and what merely looks technical
(hashes, commit ids, UUIDs, paths, versions) stays. `tests/unit/test_redact.py` proves each of these.

Two layers. `secret_rules.py` knows the shape of well-known tokens and the surroundings in which people and programs
write a secret; ordinary text costs it a few substring searches. A `Redactor` adds the user's own patterns and, where
`kingfisher-secret-scanner` is installed, the rule set maintained there: that one takes about a second to start, so only
steps that write something lasting use it.
"""

from __future__ import annotations

import bisect
import importlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from moon.secret_rules import RULES, Rule

if TYPE_CHECKING:
    from moon.config import Redact

UserPattern = tuple[str, str]
"""A user's own rule: (name, regular expression)."""

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Redacted:
    """Text without its secrets, and how many of each kind were taken out."""

    text: str
    counts: Mapping[str, int] = field(default_factory=lambda: _NOTHING)

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
        """Take secrets out of `text`."""
        result = total = _replace(text, self._spans(text))
        while result.counts:  # one cut can lay bare another secret; a pass that finds nothing ends it
            result = _replace(result.text, self._spans(result.text))
            total = Redacted(result.text, _sorted_counts(Counter(total.counts) + Counter(result.counts)))
        return total

    def _spans(self, text: str) -> list[_Span]:
        marked = [match.span() for match in _MARKER.finditer(text)] if "[redacted:" in text else []
        begins = [begin for begin, _ in marked]
        found = [span for name, pattern in self._patterns for span in _pattern_spans(text, name, pattern)]
        found += _rule_spans(text)
        if self._load_engine is not None and _may_hide_a_token(text):
            found += self._engine_spans(text)
        return [span for span in found if not _touches(span, marked, begins)]

    def _engine_spans(self, text: str) -> list[_Span]:
        if self._engine is None and self._load_engine is not None:
            self._engine = self._load_engine()
        if self._engine is None:
            self._load_engine = None
            return []
        return [span for kind, secret in self._engine.find(text) for span in _literal_spans(text, kind, secret)]


_BUILT_IN = Redactor()


def kept_rule_set() -> SecretEngine | None:
    """The rule set of `kingfisher-secret-scanner`, or None where that package is not installed or does not start."""
    try:
        return _Kingfisher(importlib.import_module("kingfisher_sdk").Scanner())
    except (ImportError, RuntimeError, ValueError, OSError):
        return None


def pattern_problem(expression: str) -> str | None:
    """Return why a user's pattern cannot be used, or None."""
    try:
        return "it matches the empty text" if re.compile(expression).search("") else None
    except re.error as error:
        return str(error)


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


@dataclass(frozen=True)
class _Span:
    """A secret from `start` to `end`; `seen_from` is where the words begin that gave it away."""

    start: int
    end: int
    kind: str
    seen_from: int


_MARKER = re.compile(r"\[redacted:[a-z0-9-]+\]")
_SHORTEST_TOKEN = 16
MOST_REPEATED = 100
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_=-]{16,}")
_TOKEN_RULES = [rule for rule in RULES if rule.hint is None]
_ALL_HINTS = list(dict.fromkeys(rule.hint for rule in RULES if rule.hint is not None))
_HINTS = [hint for hint in _ALL_HINTS if hint.isascii()]
_RULES_BY_HINT = {hint: [rule for rule in RULES if rule.hint == hint] for hint in _ALL_HINTS}


def _touches(span: _Span, marked: list[tuple[int, int]], begins: list[int]) -> bool:
    """Whether a span, or the words that gave it away, reach into a marker."""
    place = bisect.bisect_left(begins, span.end)
    return place > 0 and marked[place - 1][1] > span.seen_from


def _rule_spans(text: str) -> list[_Span]:
    """Everything the rules find. Each is looked for only where a few substring searches leave it possible."""
    spans: list[_Span] = []
    words = text.split()
    if max(map(len, words), default=0) >= _SHORTEST_TOKEN:
        for rule in _token_rules(" ".join([word for word in set(words) if len(word) >= _SHORTEST_TOKEN])):
            spans += _accepted(rule, text, _matches(rule, text, text))
    # The replaced letter is the one whose lower case is longer: positions must agree with `text`.
    folded = text.replace("\u0130", "I").lower()
    for hint in _HINTS if text.isascii() else _ALL_HINTS:
        if hint in folded:
            for rule in _RULES_BY_HINT[hint]:
                spans += _accepted(rule, text, _matches(rule, text, folded))
    return spans


def _token_rules(long_words: str) -> list[Rule]:
    """The rules for tokens of which something stands in these words."""
    return [rule for rule in _TOKEN_RULES if _glimpsed(rule, long_words)]


def _glimpsed(rule: Rule, long_words: str) -> bool:
    if rule.scan:
        return rule.pattern.search(long_words) is not None
    return any(anchor in long_words for anchor in rule.anchors)


def _matches(rule: Rule, text: str, haystack: str) -> Iterator[re.Match[str]]:
    if rule.scan:
        yield from rule.pattern.finditer(text)
        return
    for anchor in rule.anchors:
        position = haystack.find(anchor)
        while position >= 0:
            match = rule.pattern.match(text, position)
            if match:
                yield match
            position = haystack.find(anchor, position + len(anchor))


def _accepted(rule: Rule, text: str, matches: Iterable[re.Match[str]]) -> Iterator[_Span]:
    values = set()
    for match in matches:
        group = match.lastgroup or 0
        if rule.accept is None or rule.accept(match.group(group)):
            yield _Span(*match.span(group), rule.kind, match.start())
            values.add(match.group(group))
    # A text with more of them is a list of secrets, and each stands there with its name.
    for value in sorted(filter(_distinctive, values))[:MOST_REPEATED] if rule.spreads else ():
        yield from _literal_spans(text, rule.kind, value)


def _distinctive(value: str) -> bool:
    """Whether this value elsewhere in the text can only be the same secret."""
    return len(value) >= 8 and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _may_hide_a_token(text: str) -> bool:
    return any(not run.isdigit() and not run.isalpha() for run in _LONG_RUN.findall(text))


def _literal_spans(text: str, kind: str, value: str) -> Iterator[_Span]:
    return _pattern_spans(text, kind, re.compile(re.escape(value)))


def _pattern_spans(text: str, kind: str, pattern: re.Pattern[str]) -> Iterator[_Span]:
    return (_Span(*match.span(), kind, match.start()) for match in pattern.finditer(text))


@lru_cache(maxsize=64)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


# --- what takes their place -------------------------------------------------------------------------------------------


def _replace(text: str, spans: list[_Span]) -> Redacted:
    """Put a marker in place of each span; of two that overlap the one given first wins."""
    if not spans:
        return Redacted(text)
    taken = _without_overlap(spans)
    pieces, position = [], 0
    for span in taken:
        pieces += [text[position : span.start], f"[redacted:{span.kind}]"]
        position = span.end
    return Redacted("".join([*pieces, text[position:]]), _sorted_counts(Counter(span.kind for span in taken)))


def _sorted_counts(counts: Counter[str]) -> Mapping[str, int]:
    return dict(sorted(counts.items()))


def _without_overlap(spans: list[_Span]) -> list[_Span]:
    """The spans in the order of the text, of two that overlap the one given first."""
    taken: list[_Span] = []
    starts: list[int] = []
    for span in spans:
        place = bisect.bisect_left(starts, span.start)
        free = (place == 0 or taken[place - 1].end <= span.start) and (
            place == len(taken) or span.end <= taken[place].start
        )
        if free and span.end > span.start:
            taken.insert(place, span)
            starts.insert(place, span.start)
    return taken
