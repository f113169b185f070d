"""The distill station: every archive of the due sessions that has no distillation yet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from moon.cycle.station_runner import Context
from moon.distill.archive_distiller import audit_fields, carry_out, read_record
from moon.distill.archive_selection import Record, Step, Wanted, select_archives
from moon.distill.distiller import Engine
from moon.documents import Entry, Row
from moon.errors import HomeUnusable, MoonError
from moon.model.provider_state import ModelMemory
from moon.model.providers import open_model
from moon.output import progress
from moon.redact import Redactor
from moon.text import counted
from moon.vault.catalog import open_catalog


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
            segments = list(catalog.segments(row["agent"], row["session_id"]))
            steps = list(select_archives(segments, wanted, lambda sha: read_record(home, sha)))
            if context.dry_run:
                return _announce(steps)
            records, errors = [], []
            for number, step in enumerate(steps, 1):
                shown.show_archive(row["session_key"] or row["session_id"], number, len(steps))
                try:
                    records.append(carry_out(home, config, step, redactor, engine))
                except HomeUnusable:
                    raise
                except MoonError as error:
                    errors.append(error)
            shown.clear()
            return _entry(records, errors, engine.take_news(), len(segments))

        with open_catalog(home) as catalog:
            yield handle

    return work


def _announce(steps: list[Step]) -> Entry:
    words = f"would distill {counted(len(steps), 'archive')}: " + ", ".join(step.segment.sha256[:12] for step in steps)
    return {"outcome": "nothing", "words": words if steps else "every archive is distilled already"}


def _entry(records: list[Record], errors: list[MoonError], news: list[str], archives: int) -> Entry:
    """What became of a session; an archive that cannot be distilled does not keep the others from it."""
    if not records and not errors:
        words = "every archive is distilled already" if archives else "no archive of this session yet"
        return {"outcome": "nothing", "archives": [], "words": words}
    providers = ", ".join(sorted({record["provider"] for record in records}))
    entry: Entry = {
        "outcome": "failed" if errors else "done",
        "archives": [record["archive_sha256"] for record in records],
        "memory_files": sorted({record["memory_file"] for record in records if record["memory_file"]}),
        "audit": audit_fields(records),
    }
    hints = [*dict.fromkeys(error.hint for error in errors if error.hint), *news]
    if hints:
        entry["hint"] = "; ".join(hints)
    files = ", ".join(entry["memory_files"])
    done = (
        f"{counted(len(records), 'archive')} distilled by {providers}" + (f" into {files}" if files else "")
        if records
        else ""
    )
    if errors:
        entry["code"] = errors[0].code
        entry["reason"] = "; ".join(filter(None, [*(error.message for error in errors), done]))
    else:
        entry["words"] = done
    return entry


class _Progress:
    """A line on a terminal that says how far long work has come; silent elsewhere."""

    def __init__(self) -> None:
        self._archive = ""

    def show_archive(self, session: str, number: int, total: int) -> None:
        """Which archive of a session is being distilled."""
        self._archive = f"distilling {session}, archive {number} of {total}"
        progress(self._archive)

    def show_part(self, done: int, total: int) -> None:
        """Which part of the archive a model has at present."""
        progress(f"{self._archive}, part {done + 1} of {total}")

    def clear(self) -> None:
        """Leave the line empty."""
        progress("")
