"""`moon-recall --bench`: how well recall does on the user's own archive, in words or as a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from moon import output
from moon.config import Config
from moon.paths import Home
from moon.report import Report
from moon.text import counted

if TYPE_CHECKING:
    from moon.recall.own_archive import Figures, Outcome

COLUMNS = ("hit_1", "hit_5", "hit_10", "mrr")


def print_bench(home: Home, config: Config, count: int, seed: int, *, as_json: bool) -> int:
    """Measure and print; nothing is changed, and no text is shown."""
    from moon.recall.own_archive import Embedded, measure

    report = Report("moon-recall")
    with Embedded(home, config) as recall:
        output.say(*(f"degraded: {each}" for each in recall.degraded))
        output.progress(f"asking for {counted(count, 'message')} …")
        found = measure(recall, count, seed)
        output.progress("")
    report.outcome = _verdict(found)
    report.details = [_detail(found)]
    if as_json:
        output.put(report.as_json())
    else:
        output.tell(*_table(found), report.outcome)
    return report.exit_code


def _verdict(found: Outcome) -> str:
    if not found.rows:
        return "nothing is indexed yet: run `moon-archive --all`, then `moon-index --all`"
    if not found.kinds:
        return f"none of {counted(found.rows, 'indexed row')} has enough words to ask for it"
    lead, column, kind = smallest_lead(found)
    if lead < 0:
        return f"behind bm25() by {-lead:.3f} at worst ({column}, {kind})"
    return f"never behind bm25(); the smallest lead is {lead:.3f} ({column}, {kind})"


def smallest_lead(found: Outcome) -> tuple[float, str, str]:
    """(lead of Moon over `bm25()`, column, kind of question) where it is smallest."""
    return min(
        (round(getattr(each.moon, column) - getattr(each.bm25, column), 3), _title(column), each.kind)
        for each in found.kinds
        for column in COLUMNS
    )


def _detail(found: Outcome) -> dict[str, Any]:
    kinds = [{**each._asdict(), "moon": each.moon._asdict(), "bm25": each.bm25._asdict()} for each in found.kinds]
    lead = smallest_lead(found)[0] if found.kinds else None
    return {**found._asdict(), "kinds": kinds, "smallest_lead": lead}


def _table(found: Outcome) -> Iterator[str]:
    yield (
        f"{counted(found.messages, 'message')} of {counted(found.rows, 'indexed row')}, seed {found.seed}; "
        "an answer counts when it is the message itself"
    )
    if found.kinds:
        yield f"{'asked by':<24}{'':>9}{'':<6}{'hit@1':>7}{'hit@5':>7}{'hit@10':>7}{'MRR':>7}{'ms':>8}"
    for each in found.kinds:
        yield f"{each.kind:<24}{each.questions:>7}  {'Moon':<6}{_numbers(each.moon)}"
        yield f"{'':<24}{'':>7}  {'bm25':<6}{_numbers(each.bm25)}"


def _numbers(figures: Figures) -> str:
    return "".join(f"{getattr(figures, column):>7.3f}" for column in COLUMNS) + f"{figures.ms:>8.1f}"


def _title(column: str) -> str:
    return "MRR" if column == "mrr" else column.replace("_", "@")
