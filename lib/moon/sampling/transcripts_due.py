"""Which transcripts are due for archiving. Pure.

One rule for all of them, in whatever form the store keeps them: live, of an earlier window, put away, in cold storage,
left by a reset or a deletion. What holds events that are not archived yet is due when it is at rest, or when no live
session writes to it any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from moon.cycle.cycle_document import STATIONS
from moon.cycle.session_states import Owed
from moon.openclaw.transcript_store import Holding, Transcript
from moon.openclaw.usage_rows import transcript_row
from moon.sampling.thresholds import is_waiting

if TYPE_CHECKING:
    from moon.documents import Row

Identity = tuple[str, str, str]


def unarchived(holdings: Iterable[Holding], archived: Mapping[Identity, str]) -> list[Holding]:
    """The transcripts whose mark is not the one they were archived with (`archived`)."""
    return [
        each
        for each in holdings
        if each.mark != archived.get((each.transcript.agent, each.transcript.session_id, each.transcript.place))
    ]


def select_due(unarchived: Iterable[Holding], idle_seconds: int, now: int) -> list[Transcript]:
    """Those of them that are at rest."""
    return [each.transcript for each in unarchived if is_at_rest(each, idle_seconds, now)]


def is_at_rest(holding: Holding, idle_seconds: int, now: int) -> bool:
    """Is nothing more to be waited for? With `idle_seconds` 0 a live transcript never counts as at rest.

    A time of change that lies as far in the future comes from a clock that was set back, and is not waited for.
    """
    if not holding.live:
        return True
    if not idle_seconds:
        return False
    return holding.changed_at is None or abs(now - holding.changed_at) >= idle_seconds * 1000


def by_session(transcripts: Iterable[Transcript]) -> dict[tuple[str, str], list[Transcript]]:
    """The same, gathered by agent and session id; in each, what was left behind comes before what is live."""
    found: dict[tuple[str, str], list[Transcript]] = {}
    for each in transcripts:
        found.setdefault((each.agent, each.session_id), []).append(each)
    return {session: sorted(places, key=lambda each: not each.place) for session, places in found.items()}


class Work(NamedTuple):
    """What is to be done for the transcripts of one session id."""

    transcripts: list[Transcript]
    stations: tuple[str, ...]
    reason: str


def work_for(due: Iterable[Transcript], owed: Mapping[tuple[str, str], Owed], now: int) -> Iterator[Work]:
    """One entry for each session id with something to do now: what changed, and what is owed from before."""
    changed = by_session(due)
    for session in dict.fromkeys((*changed, *owed)):
        debt = owed.get(session)
        if debt is not None and is_waiting(debt, now):
            continue
        wanted = {*(debt.stations if debt else ()), *(("archive", "index") if session in changed else ())}
        reason = "it holds events that are not archived yet" if session in changed else "left undone before"
        known = [Transcript(debt.agent, debt.session_key, debt.session_id)] if debt else []
        yield Work(changed.get(session, known), in_order(wanted), reason)


def in_order(stations: Iterable[str]) -> tuple[str, ...]:
    """The stations in the order of the pipeline, each once."""
    wanted = set(stations)
    return tuple(station for station in STATIONS if station in wanted)


def with_work(rows: Iterable[Row], work: Iterable[Work]) -> list[Row]:
    """The usage rows with this work in them: in the row of the session, else in a row of its own."""
    found = list(rows)
    of_sessions = {(row["agent"], row["session_id"]): number for number, row in enumerate(found)}
    for each in work:
        agent, _, session_id, _ = each.transcripts[0]
        number = of_sessions.get((agent, session_id))
        if number is None:
            found.append(transcript_row(each.transcripts, due=each.stations, reason=each.reason))
        else:
            found[number] = _joined(found[number], each)
    return found


def _joined(row: Row, work: Work) -> Row:
    """A session's row with the work for its transcripts, which does not wait for what is destructive."""
    places = [each.place for each in work.transcripts]
    # What a threshold made due is about the live transcript.
    places += [""] if "archive" in row["due"] and "" not in places else []
    return {
        **row,
        "due": list(in_order((*row["due"], *work.stations))),
        "deferred": [station for station in row["deferred"] if station not in work.stations],
        "reason": row["reason"] if row["due"] else work.reason,
        "places": places,
    }
