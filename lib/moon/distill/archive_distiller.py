"""Distill one unit: read it, take secrets out, distill, write the record, write its block into the daily memory.

The record is written before the block and notes the block after it, so a crash in between is seen and mended.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from moon import schema
from moon.clock import now_text
from moon.config import Config
from moon.distill import daily_memory, standing_rules, told_lines
from moon.distill.archive_units import ArchiveUnit, Step
from moon.distill.distiller import Result
from moon.distill.turns import Turn
from moon.distill.unit_reading import Conversation, read_conversation
from moon.distillations import LISTS, read_record, record_path, says_something
from moon.errors import ArchiveDamaged
from moon.model.model_port import ModelFailed
from moon.paths import Home
from moon.redact import Redactor
from moon.vault.catalog import Catalog

if TYPE_CHECKING:
    from moon.documents import DistillationRecord


class Distiller(Protocol):
    """Makes a distillation of turns; always answers."""

    def distill(self, turns: list[Turn]) -> Result: ...


class Done(NamedTuple):
    """What became of a unit; `problems`: damaged files that it was distilled without."""

    record: DistillationRecord
    problems: list[ArchiveDamaged]


class Workshop(NamedTuple):
    """What every unit of a run is distilled with."""

    config: Config
    catalog: Catalog
    redactor: Redactor
    distiller: Distiller


def carry_out(shop: Workshop, step: Step) -> Done:
    """Do what a step says. Raises `ArchiveDamaged`, `DocumentTooNew`, `HomeUnusable`, `ModelFailed`."""
    home = shop.catalog.home
    before = read_record(home, step.unit.name)
    if step.unwritten and before is not None:
        write_memory(home, shop.config, before)
        return Done(before, [])
    unit, turns, problems = _read(shop, step.unit)
    before = before if unit.name == step.unit.name else read_record(home, unit.name)
    record = make_record(shop, unit, turns)
    if step.wanted and before is not None and record["provider"] != step.wanted:
        raise _kept(step, before, record)
    _leave_old_day(home, shop.config, before, record)
    _write(home, record)
    if says_something(record):
        write_memory(home, shop.config, record)
    return Done(record, problems)


def _write(home: Home, record: DistillationRecord) -> None:
    schema.write("distillation", record, record_path(home, record["archive_sha256"]))


def _read(shop: Workshop, unit: ArchiveUnit) -> tuple[ArchiveUnit, Conversation, list[ArchiveDamaged]]:
    """The unit as far as it can be read, and what is said in it."""
    problems: list[ArchiveDamaged] = []
    while True:
        try:
            return unit, read_conversation(shop.catalog, unit, shop.redactor), problems
        except ArchiveDamaged as error:
            problems.append(error)
            left = unit.without(Path(error.path))
            if left is None:
                raise problems[0] from None
            unit = left


def _kept(step: Step, before: DistillationRecord, record: DistillationRecord) -> ModelFailed:
    reasons = [each.get("reason", "") for each in record["attempts"] if each["provider"] == step.wanted]
    return ModelFailed(
        f"{step.wanted} could not distill {step.unit.name[:12]}: {'; '.join(reasons)}; "
        f"the distillation by {before['provider']} was kept"
    )


def memory_folder(home: Home, config: Config) -> Path:
    """Where daily memory lies."""
    return Path(config.paths.memory).expanduser() if config.paths.memory else home.memory


def _leave_old_day(home: Home, config: Config, before: DistillationRecord | None, record: DistillationRecord) -> None:
    """Take the block out of the day that it no longer belongs to, before its record is forgotten.

    The day's file is looked for where memory lies now: a record can come from a home that was copied.
    """
    path = before.get("memory_file") if before else None
    day = daily_memory.day_of(record, config.timezone)
    folder = memory_folder(home, config)
    if path and (not says_something(record) or Path(path).name != f"{day}.md"):
        daily_memory.remove_block(folder / Path(path).name, record["archive_sha256"])
    if path and not says_something(record):
        standing_rules.keep_rules(folder, record, config.timezone)


def write_memory(home: Home, config: Config, record: DistillationRecord) -> None:
    """Write the record's rules and its block, and note in the record where the block stands."""
    folder, sha, day = (
        memory_folder(home, config),
        record["archive_sha256"],
        daily_memory.day_of(record, config.timezone),
    )
    is_known_rule = standing_rules.keep_rules(folder, record, config.timezone)
    whole = daily_memory.render_block(record, config.timezone)
    told = told_lines.told_before(folder, day, sha, whole)
    block = daily_memory.render_block(
        record, config.timezone, lambda name, line: told.holds(line) or (name == "rules" and is_known_rule(line))
    )
    path = daily_memory.write_block(daily_memory.day_file(folder, day), sha, block, day)
    record["memory_file"] = str(path)
    _write(home, record)


def make_record(shop: Workshop, unit: ArchiveUnit, said: Conversation) -> DistillationRecord:
    """Distill what is said in a unit."""
    result = shop.distiller.distill(said.turns)
    file = unit.files[-1]
    lists = _lists(result, shop.redactor)
    return {
        "schema": "moon.distillation/1",
        "archive_sha256": unit.name,
        "archives": list(unit.archives),
        "archive_path": shop.catalog.home.relative(unit.files[0].path),
        "agent": file.agent,
        "session_key": file.session_key,
        "session_id": file.session_id,
        "first_event_at": said.first,
        "last_event_at": said.last,
        "events": said.events,
        "provider": result.provider,
        "model": result.model,
        "attempts": [attempt.as_document() for attempt in result.attempts],
        "summary": lists["summary"],
        "decisions": lists["decisions"],
        "rules": lists["rules"],
        "milestones": lists["milestones"],
        "open_tasks": lists["open_tasks"],
        "commands": lists["commands"],
        "identifiers": lists["identifiers"],
        "sources": result.distillation.sources(),
        "dropped": dict(result.distillation.dropped),
        "redacted": dict(sorted(said.redacted.items())),
        "spend": {
            "calls": result.spend.calls,
            "tokens_in": result.spend.tokens_in,
            "tokens_out": result.spend.tokens_out,
        },
        "memory_file": None,
        "created_at": now_text(),
    }


def _lists(result: Result, redactor: Redactor) -> dict[str, list[str]]:
    """The record's lists. What a model wrote is redacted as what it read was."""
    texts = result.distillation.texts()
    return {name: [redactor.redact(text).text for text in texts[name]] for name in LISTS}


def audit_fields(records: list[DistillationRecord]) -> dict[str, Any]:
    """What the audit line says of the providers: which were used, and why others were not. No words of the text."""
    used = Counter(record["provider"] for record in records)
    others: dict[str, str] = {}
    for record in records:
        for attempt in record["attempts"]:
            if attempt["outcome"] != "used":
                others.setdefault(attempt["provider"], f"{attempt['outcome']}: {attempt.get('reason', '')}")
    spend = {
        "calls": sum(record["spend"]["calls"] for record in records),
        "tokens_in": sum(record["spend"]["tokens_in"] for record in records),
        "tokens_out": sum(record["spend"]["tokens_out"] for record in records),
    }
    return {"providers": dict(used), "not_used": others, "spend": spend}
