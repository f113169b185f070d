"""The distill station: whatever of the due sessions has no distillation yet, by session, day and window."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from moon.cycle.station_runner import Context
from moon.distill.archive_distiller import Workshop, audit_fields, carry_out
from moon.distill.archive_units import ArchiveUnit, Step, Wanted, plan_units, select_units
from moon.distill.distiller import Engine
from moon.distillations import Distillations, Known
from moon.errors import HomeUnusable, MoonError
from moon.model.provider_state import ModelMemory
from moon.model.providers import open_model
from moon.output import progress
from moon.redact import Redactor
from moon.text import counted
from moon.vault.catalog import Catalog, open_catalog
from moon.vault.pack_plan import archived_day, group_by_day

if TYPE_CHECKING:
    from moon.documents import DistillationRecord, Entry, Row


def work_for(wanted: Wanted) -> Callable[[Context], contextlib.AbstractContextManager[Callable[[Row], Entry]]]:
    """The station's work, narrowed to what a person asked for."""

    @contextlib.contextmanager
    def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
        home, config = context.home, context.config
        redactor = Redactor.from_config(config.redact)
        remembered = ModelMemory(home, context.document["cycle_id"], config.timezone)
        shown = _Progress()
        engine = Engine(
            config.distill,
            remembered,
            lambda name: open_model(name, config.distill),
            only=wanted.provider,
            progress=shown.show_part,
        )

        def handle(row: Row) -> Entry:
            units = session_units(catalog, row["agent"], row["session_id"], config.timezone, known.of)
            steps = list(select_units(units, wanted))
            if context.dry_run:
                return _announce(steps)
            records: list[DistillationRecord] = []
            errors: list[MoonError] = []
            for number, step in enumerate(steps, 1):
                shown.show_day(row["session_key"] or row["session_id"], number, len(steps))
                try:
                    record, problems = carry_out(shop, step)
                    known.note(record)
                    records.append(record)
                    errors += problems
                except HomeUnusable:
                    raise
                except MoonError as error:
                    errors.append(error)
            shown.clear()
            return _entry(records, errors, engine.take_news(), len(units))

        known = Distillations(home)
        with open_catalog(home) as catalog:
            shop = Workshop(config, catalog, redactor, engine)
            yield handle
        if not context.dry_run:
            known.save()

    return work


def session_units(
    catalog: Catalog, agent: str, session_id: str, zone_name: str, known_of: Callable[[str], Known | None]
) -> list[ArchiveUnit]:
    """What the archives of a session are distilled as, in order. Reads no archive."""
    files = catalog.segments(agent, session_id)
    return plan_units(group_by_day(files, archived_day(zone_name), catalog.links), known_of)


def _announce(steps: list[Step]) -> Entry:
    archives = counted(sum(len(step.unit.archives) for step in steps), "archive")
    names = ", ".join(step.unit.name[:12] for step in steps)
    words = f"would distill {archives} into {counted(len(steps), 'record')}: {names}"
    return {"outcome": "nothing", "words": words if steps else "every archive is distilled already"}


def _entry(records: list[DistillationRecord], errors: list[MoonError], news: list[str], units: int) -> Entry:
    """What became of a session; an archive that cannot be distilled does not keep the others from it."""
    if not records and not errors:
        words = "every archive is distilled already" if units else "no archive of this session yet"
        return {"outcome": "nothing", "archives": [], "words": words}
    providers = ", ".join(sorted({record["provider"] for record in records}))
    entry: Entry = {
        "outcome": "failed" if errors else "done",
        "archives": [record["archive_sha256"] for record in records],
        "memory_files": sorted({path for record in records if (path := record.get("memory_file"))}),
        "audit": audit_fields(records),
    }
    hints = [*dict.fromkeys(error.hint for error in errors if error.hint), *news]
    if hints:
        entry["hint"] = "; ".join(hints)
    files = ", ".join(entry["memory_files"])
    done = f"{_counted(records)} distilled by {providers}" + (f" into {files}" if files else "") if records else ""
    if errors:
        entry["code"] = errors[0].code
        entry["reason"] = "; ".join(filter(None, [*(error.message for error in errors), done]))
    else:
        entry["words"] = done
    return entry


def _counted(records: list[DistillationRecord]) -> str:
    """How much was distilled: archives, and how many records they came to where that is another number."""
    archives = sum(len(record.get("archives", [""])) for record in records)
    days = f" as {len(records)}" if len(records) != archives else ""
    return counted(archives, "archive") + days


class _Progress:
    """A line on a terminal that says how far long work has come; silent elsewhere."""

    def __init__(self) -> None:
        self._day = ""

    def show_day(self, session: str, number: int, total: int) -> None:
        """Which day of a session is being distilled."""
        self._day = f"distilling {session}, day {number} of {total}"
        progress(self._day)

    def show_part(self, done: int, total: int) -> None:
        """Which part of the day a model has at present."""
        progress(f"{self._day}, part {done + 1} of {total}")

    def clear(self) -> None:
        """Leave the line empty."""
        progress("")
