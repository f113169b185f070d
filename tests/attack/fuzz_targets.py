"""What `fuzz.py` feeds with bytes: each target reads them as one part of Moon does, and says what does not hold.

A target raises where a promise is broken; what Moon itself says in words (`MoonError`) is an answer and no finding.
Needs no fuzzer, so that a finding becomes a test (`tests/unit/test_fuzz_findings.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.seeded_secrets import IN_CONTEXT, SECRETS
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.moon import ROOT
from tests.support.settings import settings
from tests.support.stores import JsonlStoreBuilder

from moon import config, schema
from moon.cli.archive_repair import repair
from moon.cycle import cycle_document
from moon.errors import MoonError
from moon.fulltext.expression import Terms, with_phrase
from moon.openclaw.events import event_id, event_ids, parse
from moon.recall import question
from moon.redact import redact
from moon.vault import chain
from moon.vault.catalog import discard, open_catalog
from moon.vault.ledger import GENESIS, Ledger, line_hash
from moon.vault.packing import pack_past_days
from moon.vault.recovery import Copies
from moon.vault.verify import verify

LANGUAGES = ("en", "de", "ja")


class Target(NamedTuple):
    """`test` takes any bytes; `seeds` are what the fuzzer begins with; `words` what it likes to put in."""

    test: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    words: tuple[str, ...]
    longest: int = 4096


# --- lines of a transcript


def read_events(data: bytes) -> None:
    """Lines of a transcript: ids are the same read together or alone, and what is read can be stored and printed."""
    lines = data.split(b"\n")
    together, alone = event_ids(lines), [event_id(line) for line in lines]
    assert together == alone, f"{together} together, {alone} alone"
    for line, name in zip(lines, alone, strict=True):
        event = parse(line)
        if event is None:
            assert name == "", "an id of what is no event"
            continue
        assert event.id == name
        for text in (event.id, event.type, event.role, *(piece.text for piece in event.pieces)):
            text.encode()


def _transcripts() -> Iterator[bytes]:
    for path in sorted((ROOT / "tests" / "recorded" / "jsonl").rglob("*.jsonl")):
        if ".trajectory" not in path.name:
            yield from path.read_bytes().split(b"\n")[:12]
    yield b"\n".join([*events.conversation("s1", 1), events.reset("r"), events.compaction("c", "all")])
    yield events.tool_call("t", "exec", {"command": ["ls", {"deep": None}]})


# --- questions


def read_question(data: bytes) -> None:
    """A question: every expression made of it is one that FTS5 takes, and means the same with and without phrases."""
    text = data.decode("utf-8", "surrogateescape")
    understood = question.parse(text, LANGUAGES)
    understood.text.encode()
    expressions = [each for term in understood.terms for each in (term.match, term.related) if each]
    for expression in [*expressions, *filter(None, (*understood.required, *understood.excluded))]:
        found = {row for (row,) in _rows().execute("SELECT rowid FROM words WHERE words MATCH ?", (expression,))}
        read = with_phrase(expression)
        if read is None:
            continue
        wide = {row for (row,) in _rows().execute("SELECT rowid FROM words WHERE words MATCH ?", (read.superset(),))}
        holding = {row for row in wide if read.holds(Terms(_ROWS[row - 1].split()))}
        assert found == holding, f"{expression!r}: FTS5 finds {found}, phrases read {holding}"


_ROWS = (
    "lantern regist in bergen port 5433",
    "alway use utc never deploy friday",
    "日本 本語 the a of",
    "10 0 0 7 8443",
)


@cache
def _rows() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    made.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize='ascii')")
    made.executemany("INSERT INTO words (text) VALUES (?)", [(row,) for row in _ROWS])
    return made


def _questions() -> Iterator[bytes]:
    for each in (
        'where is the "lantern register" -deploy role:user?',
        "what did we decide about port 5433 last week",
        "/srv/agent/src/a.py v1.2.3 ABC-1234 deadbeef0 10.0.0.7:8443",
        'agent:main session:"agent:main:x" tool:exec «Züge» 東京の天気は? кто это',
        '"" -"" OR AND NOT NEAR( * ^ {a b}: +x',
    ):
        yield each.encode()


# --- documents and the configuration


def load_document(data: bytes) -> None:
    """A document of any kind, or a configuration: refused in words, or good for all that is done with it."""
    kinds = [*schema.kinds(), "config", "piped"]
    kind, rest = kinds[data[0] % len(kinds)] if data else "config", data[1:]
    with contextlib.suppress(MoonError):
        if kind == "config":
            _configure(rest)
        elif kind == "piped":
            _use_cycle(cycle_document.parse(rest))
        else:
            document = schema.parse(kind, rest)
            again = schema.parse(kind, schema.dump(kind, document))
            assert repr(again) == repr(document), "other values after writing and reading"
            if kind == "cycle":
                _use_cycle(cycle_document.parse(rest))


def _configure(data: bytes) -> None:
    """The file, and behind a zero byte each a variable."""
    file, *variables = data.split(b"\0")
    pairs = (each.decode("utf-8", "replace").partition("=") for each in variables)
    values = config.resolve(file, {f"MOON_{name}": value for name, _, value in pairs}, "moon.yaml")
    config.Config(values)


def _use_cycle(document: cycle_document.Document) -> None:
    for station in cycle_document.STATIONS:
        cycle_document.sessions_due(document, station)
        cycle_document.next_station(document, station)
    for row in document["usage"]["sessions"]:
        cycle_document.outcomes(document, row)


def _documents() -> Iterator[bytes]:
    kinds = [*schema.kinds(), "config", "piped"]
    for number, kind in enumerate(kinds):
        folder = ROOT / "tests" / "examples" / {"piped": "cycle"}.get(kind, kind)
        for path in sorted(folder.glob("*/*")):
            yield bytes([number]) + path.read_bytes()
    at = bytes([kinds.index("config")])
    yield at + (ROOT / "moon.yaml.example").read_bytes()
    yield at + b"a: &a [1]\nb: *a\x00THRESHOLDS__ARCHIVE=0.7\x00REDACT__PATTERNS=[{name: x, pattern: '(a+)+'}]"


# --- secrets


def take_out_secrets(data: bytes) -> None:
    """Any text, also around a secret: redacting ends, twice is as once, and nothing that is left is found again."""
    text = data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    once = redact(text)
    twice = redact(once.text)
    assert twice.text == once.text, f"{once.text!r} became {twice.text!r}"
    assert not twice.counts
    assert redact(text) == once
    if not once.counts:
        assert once.text == text


def _secrets() -> Iterator[bytes]:
    for secret in SECRETS.values():
        yield f"the key is {secret}, keep it".encode()
    for sentence, _ in IN_CONTEXT.values():
        yield sentence.encode()
    yield b"commit 3f786850e387550fdaab836ed7e6dc881de23001, 123e4567-e89b-12d3-a456-426614174000 \x1b[31mred\x1b[0m"


# --- the ledger and what it names


def recover_ledger(data: bytes) -> None:
    """Ledger and archives damaged as the bytes say: every reader goes on, repair and archiving bring all back."""
    folder = Path(tempfile.mkdtemp(prefix="moon-fuzz-"))
    try:
        shutil.copytree(_archive(), folder, dirs_exist_ok=True)
        archiver = Archiver(folder, compress_from=600)
        Damage(archiver, data).do()
        _read_on(archiver)
        for _ in range(2):
            _said_in_words(lambda: archiver.archive("s1", whole=True))
            _said_in_words(lambda: _repair(archiver))
        assert set(SAID) <= set(archiver.held("s1")), "not all that the store holds is back"
        again = _said_in_words(lambda: _repair(archiver))
        assert not again.changed(), f"a repaired archive is repaired again: {again}"
        assert archiver.leftovers() == []
    finally:
        shutil.rmtree(folder)


SAID = [*events.conversation("s1", 9), events.message("long", "the lantern register " * 60)]


@cache
def _archive() -> Path:
    """Three segments in a pack, two of their own, and something set aside; the store holds all of it."""
    folder = Path(tempfile.mkdtemp(prefix="moon-fuzz-base-"))
    archiver = Archiver(folder, compress_from=600)
    store = JsonlStoreBuilder(archiver.state_dir)
    for turns in (2, 4, 6):
        store.write("s1", SAID[: 1 + 2 * turns])
        archiver.archive("s1")
    with open_catalog(archiver.home) as catalog, _years_later():
        assert pack_past_days(catalog, "UTC", bounded=False).packs
    for count in (17, len(SAID)):
        store.write("s1", SAID[:count])
        archiver.archive("s1")
    return folder


@contextlib.contextmanager
def _years_later() -> Iterator[None]:
    os.environ["MOON_NOW"] = "2099-01-01T00:00:00.000Z"
    try:
        yield
    finally:
        del os.environ["MOON_NOW"]


def _said_in_words(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except MoonError as error:
        raise AssertionError(f"{error.code}: {error.message}") from error


def _read_on(archiver: Archiver) -> None:
    ledger = Ledger(archiver.home.ledger)
    ledger.verify()
    verify(archiver.home)
    with contextlib.suppress(MoonError):
        archiver.restored("s1")
    discard(archiver.home)
    with open_catalog(archiver.home) as catalog:
        made_anew = {archiver.home.relative(each.path): each.sha256 for each in catalog.segments()}
    standing = {path: record["sha256"] for path, record in ledger.standing().files.items()}
    assert made_anew == standing, f"the catalog has {made_anew}, the ledger {standing}"


def _repair(archiver: Archiver) -> Any:
    chosen = settings(openclaw={"state_dir": str(archiver.state_dir)})
    with open_catalog(archiver.home) as catalog:
        return repair(catalog, chosen, Copies(None), dry_run=False, force=True)


ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1 << 53, 1e400, "", "../../x", "archives/raw/main/x.jsonl", "\ud800", "ä" * 300, [], {}, [[]],
)  # fmt: skip


class Damage:
    """Reads bytes as a list of things to do to an archive: one byte says what, the next ones where."""

    def __init__(self, archiver: Archiver, data: bytes) -> None:
        self.home = archiver.home
        self.data = iter(data)
        self.lines = self.home.ledger.read_bytes().splitlines(keepends=True)

    def do(self) -> None:
        """Everything the bytes say, as long as they last."""
        kinds = (
            self._flip, self._drop, self._double, self._swap, self._cut, self._insert, self._set, self._unset,
            self._spoil_file, self._drop_file, self._chain_anew, self._forget_catalog,
        )  # fmt: skip
        for code in self.data:
            if self.lines:
                kinds[code % len(kinds)]()
        self.home.ledger.write_bytes(b"".join(self.lines))

    def _next(self, below: int) -> int:
        return ((next(self.data, 0) << 8) + next(self.data, 0)) % max(1, below)

    def _line(self) -> int:
        return next(self.data, 0) % len(self.lines)

    def _flip(self) -> None:
        at = self._line()
        line = bytearray(self.lines[at])
        if line:
            line[self._next(len(line))] ^= next(self.data, 1) or 1
        self.lines[at] = bytes(line)

    def _drop(self) -> None:
        del self.lines[self._line()]

    def _double(self) -> None:
        self.lines.insert(self._line(), self.lines[self._line()])

    def _swap(self) -> None:
        one, other = self._line(), self._line()
        self.lines[one], self.lines[other] = self.lines[other], self.lines[one]

    def _cut(self) -> None:
        self.lines[-1] = self.lines[-1][: self._next(len(self.lines[-1]))]

    def _insert(self) -> None:
        self.lines.insert(self._line(), bytes(next(self.data, 10) for _ in range(next(self.data, 0) % 32)) + b"\n")

    def _record(self, at: int) -> dict[str, Any] | None:
        try:
            record = json.loads(self.lines[at])
        except (ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) and record else None

    def _put(self, at: int, record: dict[str, Any]) -> None:
        """As somebody would write it who can do so: with the right hash of itself."""
        record.pop("check", None)
        self.lines[at] = chain.with_check(json.dumps(record).encode()) + b"\n"

    def _set(self) -> None:
        at = self._line()
        record = self._record(at)
        if record is not None:
            place = _place(record, self._next(1 << 16))
            place[0][place[1]] = ODD[next(self.data, 0) % len(ODD)]
            self._put(at, record)

    def _unset(self) -> None:
        at = self._line()
        record = self._record(at)
        if record is not None:
            place = _place(record, self._next(1 << 16))
            del place[0][place[1]]
            self._put(at, record)

    def _chain_anew(self) -> None:
        """What was done to the lines does not show in the chain."""
        before = GENESIS
        for at in range(len(self.lines)):
            record = self._record(at)
            if record is not None:
                self._put(at, {**record, "prev": before})
            before = line_hash(self.lines[at].removesuffix(b"\n"))

    def _files(self) -> list[Path]:
        return sorted(self.home.raw.rglob("*.jsonl*"))

    def _spoil_file(self) -> None:
        files = self._files()
        if not files:
            return
        path = files[next(self.data, 0) % len(files)]
        content = bytearray(path.read_bytes())
        at = self._next(len(content))
        how = next(self.data, 1)
        if how and content:
            content[at] ^= how
        else:
            del content[at:]
        path.write_bytes(content)

    def _drop_file(self) -> None:
        files = self._files()
        if files:
            files[next(self.data, 0) % len(files)].unlink()

    def _forget_catalog(self) -> None:
        discard(self.home)


def _place(record: dict[str, Any], number: int) -> tuple[Any, Any]:
    """The container and key of one of the values in a record, also inside its lists."""
    found: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            found.append((value, key))
            walk(value[key])

    walk(record)
    return found[number % len(found)]


def _damages() -> Iterator[bytes]:
    yield b""
    for code in range(12):
        yield bytes([code, 1, 0, 9, 3, 200, 7])
    yield bytes([6, 2, 0, 3, 6, 10, 8, 0, 0, 40, 1])
    yield bytes([9, 0, 9, 0, 9, 0, 11])


JSON_WORDS = (
    '{"',
    '":"',
    '":[',
    "null",
    "1e999",
    '"\\ud800"',
    '"id"',
    '"type":"message"',
    "NaN",
    "-0",
    "[[[[",
    "\\u0000",
)
TARGETS = {
    "events": Target(read_events, _transcripts, (*JSON_WORDS, '"content":[{"type":"text","text":"x"}]', '"toolCall"')),
    "query": Target(
        read_question, _questions, ('"', "-", "role:", "session:", "*", " OR ", "?", "last week", "の"), 600
    ),
    "documents": Target(
        load_document, _documents, (*JSON_WORDS, "&a ", "*a", "!!", "<<:", "moon.cycle/2", "true"), 6000
    ),
    "redaction": Target(
        take_out_secrets,
        _secrets,
        (
            "sk-proj-",
            "ghp_",
            "password=",
            "Bearer ",
            "-----BEGIN",
            "%3D",
            "\\\\u0041",
            "\\x1b[1m",
            "[redacted:",
            "AKIA",
        ),
        2000,
    ),
    "ledger": Target(recover_ledger, _damages, (), 64),
}
