"""Distill one archive: read it, take secrets out, distill, write the record, write its block into the daily memory.

The record is written before the block and notes the block after it, so a crash in between is seen and mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from moon import schema
from moon.clock import now_text
from moon.config import Config
from moon.distill import daily_memory
from moon.distill.archive_selection import Record, Step, says_something
from moon.distill.distillation import LISTS
from moon.distill.distiller import Result
from moon.distill.turns import Turn, turns_of
from moon.errors import DocumentInvalid, DocumentTooNew
from moon.model.model_port import ModelFailed
from moon.openclaw import events
from moon.openclaw.events import Event
from moon.paths import Home
from moon.redact import Redactor
from moon.text import lines
from moon.vault import segments
from moon.vault.catalog import Segment


class Distiller(Protocol):
    """Makes a distillation of turns; always answers."""

    def distill(self, turns: list[Turn]) -> Result: ...


def record_path(home: Home, sha256: str) -> Path:
    """Where an archive's DistillationRecord lies."""
    return home.distillations / f"{sha256}.json"


def read_record(home: Home, sha256: str) -> Record | None:
    """An archive's record; None when there is none, or none that can be read (it is then made again).

    Raises `DocumentTooNew` for the record of a newer Moon, which stays as it is.
    """
    try:
        return schema.read("distillation", record_path(home, sha256))
    except DocumentTooNew:
        raise
    except (FileNotFoundError, DocumentInvalid):
        return None


def carry_out(home: Home, config: Config, step: Step, redactor: Redactor, distiller: Distiller) -> Record:
    """Do what a step says and return the record. Raises `ArchiveDamaged`, `HomeUnusable`, `ModelFailed`."""
    record = step.unwritten
    if record is None:
        record = make_record(home, step.segment, redactor, distiller)
        if step.replaces is not None and record["provider"] != step.wanted:
            raise _kept(step, record)
        schema.write("distillation", record, record_path(home, step.segment.sha256))
    if says_something(record):
        write_memory(home, config, record)
    return record


def _kept(step: Step, record: Record) -> ModelFailed:
    reasons = [each.get("reason", "") for each in record["attempts"] if each["provider"] == step.wanted]
    assert step.replaces is not None
    return ModelFailed(
        f"{step.wanted} could not distill {step.segment.sha256[:12]}: {'; '.join(reasons)}; "
        f"the distillation by {step.replaces['provider']} was kept"
    )


def write_memory(home: Home, config: Config, record: Record) -> None:
    """Write the record's block and note in the record where it stands."""
    folder = Path(config.paths.memory).expanduser() if config.paths.memory else home.memory
    block = daily_memory.render_block(record, config.timezone)
    day = daily_memory.day_of(record, config.timezone)
    record["memory_file"] = str(daily_memory.write_block(folder, record["archive_sha256"], block, day))
    schema.write("distillation", record, record_path(home, record["archive_sha256"]))


def make_record(home: Home, segment: Segment, redactor: Redactor, distiller: Distiller) -> Record:
    """Distill an archive's events."""
    found = _Times()
    counts: Counter[str] = Counter()
    turns = list(_clean(turns_of(found.watch(read_events(segment))), redactor, counts))
    result = distiller.distill(turns)
    return {
        "schema": "moon.distillation/1",
        "archive_sha256": segment.sha256,
        "archive_path": home.relative(segment.path),
        "agent": segment.agent,
        "session_key": segment.session_key,
        "session_id": segment.session_id,
        "first_event_at": found.first,
        "last_event_at": found.last,
        "events": segment.events,
        "provider": result.provider,
        "model": result.model,
        "attempts": [attempt.as_dict() for attempt in result.attempts],
        **_lists(result, redactor),
        "sources": result.distillation.sources(),
        "dropped": dict(result.distillation.dropped),
        "redacted": dict(sorted(counts.items())),
        "spend": dict(result.spend.__dict__),
        "memory_file": None,
        "created_at": now_text(),
    }


def _lists(result: Result, redactor: Redactor) -> dict[str, list[str]]:
    """The record's lists. What a model wrote is redacted as what it read was."""
    texts = result.distillation.texts()
    return {name: [redactor.redact(text).text for text in texts[name]] for name in LISTS}


def read_events(segment: Segment) -> Iterator[Event]:
    """The readable events of an archive."""
    for line in segments.lines(segment.path):
        event = events.parse(line)
        if event is not None:
            yield event


def _clean(turns: Iterable[Turn], redactor: Redactor, counts: Counter[str]) -> Iterator[Turn]:
    for turn in turns:
        redacted = redactor.redact(lines(turn.text))
        counts.update(redacted.counts)
        yield replace(turn, text=redacted.text)


class _Times:
    """Notes the first and the last time in a stream of events."""

    def __init__(self) -> None:
        self.first: str | None = None
        self.last: str | None = None

    def watch(self, stream: Iterable[Event]) -> Iterator[Event]:
        for event in stream:
            if event.timestamp is not None and event.pieces:
                self.first = min(self.first or event.timestamp, event.timestamp)
                self.last = max(self.last or event.timestamp, event.timestamp)
            yield event


def audit_fields(records: list[Record]) -> dict[str, Any]:
    """What the audit line says of the providers: which were used, and why others were not. No words of the text."""
    used = Counter(record["provider"] for record in records)
    others: dict[str, str] = {}
    for record in records:
        for attempt in record["attempts"]:
            if attempt["outcome"] != "used":
                others.setdefault(attempt["provider"], f"{attempt['outcome']}: {attempt.get('reason', '')}")
    spend = {name: sum(record["spend"][name] for record in records) for name in ("calls", "tokens_in", "tokens_out")}
    return {"providers": dict(used), "not_used": others, "spend": spend}
