"""The distill station: every archive of the due sessions that has no distillation yet."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from moon.cycle.stations import Context, Entry, Row
from moon.distill.apply import audit_fields, carry_out, read_record
from moon.distill.engine import Engine
from moon.distill.plan import Record, Step, Wanted, select_archives
from moon.model.memory import ModelMemory
from moon.model.providers import open_model
from moon.redact import Redactor
from moon.vault.catalog import open_catalog


def work_for(wanted: Wanted) -> Callable[[Context], contextlib.AbstractContextManager[Callable[[Row], Entry]]]:
    """The station's work, narrowed to what a person asked for."""

    @contextlib.contextmanager
    def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
        home, config = context.home, context.config
        redactor = Redactor.from_config(config.redact)
        remembered = ModelMemory(home, context.document["cycle_id"], config.timezone)
        engine = Engine(config.distill, remembered, lambda name: open_model(name, config.distill), wanted.provider)

        def handle(row: Row) -> Entry:
            segments = list(catalog.segments(row["agent"], row["session_id"]))
            steps = list(select_archives(segments, wanted, lambda sha: read_record(home, sha)))
            if context.dry_run:
                return _announce(steps)
            records = []
            for number, step in enumerate(steps, 1):
                _show_progress(number, len(steps), row)
                records.append(carry_out(home, config, step, redactor, engine))
            return _entry(records, len(segments), engine.take_news())

        with open_catalog(home) as catalog:
            yield handle

    return work


def _announce(steps: list[Step]) -> Entry:
    words = f"would distill {_count(len(steps))}: " + ", ".join(step.segment.sha256[:12] for step in steps)
    return {"outcome": "nothing", "words": words if steps else "every archive is distilled already"}


def _entry(records: list[Record], archives: int, news: list[str]) -> Entry:
    if not records:
        words = "every archive is distilled already" if archives else "no archive of this session yet"
        return {"outcome": "nothing", "archives": [], "words": words}
    providers = ", ".join(sorted({record["provider"] for record in records}))
    files = sorted({record["memory_file"] for record in records if record["memory_file"]})
    return {
        "outcome": "done",
        "archives": [record["archive_sha256"] for record in records],
        "memory_files": files,
        "words": f"{_count(len(records))} distilled by {providers}",
        "audit": audit_fields(records),
        **({"hint": "; ".join(news)} if news else {}),
    }


def _count(archives: int) -> str:
    return f"{archives} archive" + ("" if archives == 1 else "s")


def _show_progress(number: int, total: int, row: Row) -> None:
    if sys.stderr.isatty():
        print(f"distilling {row['session_key'] or row['session_id']}: {number}/{total}", end="\r", file=sys.stderr)
