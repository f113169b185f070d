"""What went wrong, from when it began until it is over. Pure.

A problem is about one station and one cause: a thousand sessions that fail for the same reason are one problem with a
thousand subjects, and it is over with the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from moon.clock import format_ms
from moon.remedies import NOTE, hint_for, remedy_of

if TYPE_CHECKING:
    from moon.documents import CycleDocument, Problem, SessionRecord

# More sessions than this in one problem are not told apart; the rest begin a new one when these are well.
MAX_SUBJECTS = 1000
SOME = 3
# Where a problem was seen that nobody keeps: by a look at the whole.
STATUS = "status"
BAD = frozenset({"failed", "refused"})


class Subject(NamedTuple):
    """The session that a problem is about; of a transcript without a live session the key may be empty."""

    agent: str
    session_key: str
    session_id: str


class Trouble(NamedTuple):
    """One problem as it is kept. Times in milliseconds since the epoch; `times` is how often it was seen.

    `told` is the last that was told of it: nothing, `began`, or `lasts`.
    """

    station: str
    code: str
    message: str
    hint: str = ""
    path: str = ""
    subjects: tuple[Subject, ...] = ()
    since: int = 0
    last: int = 0
    times: int = 1
    told: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same problem: of sessions the cause alone, of other things also which one."""
        return self.station, self.code, "" if self.subjects else self.path


IsOver = Callable[[Trouble, "Subject | None"], bool]


def after(known: Iterable[Trouble], seen: Iterable[Trouble], is_over: IsOver, now: int) -> list[Trouble]:
    """The problems there are, once these were seen now. `is_over` is asked about each that was not seen, by subject."""
    fresh = _folded(seen, now)
    kept = []
    for trouble in known:
        again = fresh.pop(trouble.key, None)
        left = tuple(each for each in trouble.subjects if not is_over(trouble, each))
        if again is not None:
            kept.append(_seen_again(trouble, again, left, now))
        elif left or not (trouble.subjects or is_over(trouble, None)):
            kept.append(trouble._replace(subjects=left))
    return [*kept, *fresh.values()]


def _folded(seen: Iterable[Trouble], now: int) -> dict[tuple[str, str, str], Trouble]:
    """The troubles by their key, the subjects of each together."""
    found: dict[tuple[str, str, str], Trouble] = {}
    for each in seen:
        first = found.setdefault(each.key, each._replace(since=now, last=now))
        found[each.key] = first._replace(subjects=_joined(first.subjects, each.subjects))
    return found


def _seen_again(before: Trouble, again: Trouble, left: tuple[Subject, ...], now: int) -> Trouble:
    return again._replace(
        subjects=_joined(left, again.subjects), since=before.since, last=now, times=before.times + 1, told=before.told
    )


def _joined(one: tuple[Subject, ...], other: tuple[Subject, ...]) -> tuple[Subject, ...]:
    return tuple(dict.fromkeys((*one, *other)))[:MAX_SUBJECTS]


def of_error(station: str, error: Problem) -> Trouble:
    """An error that is not about a session."""
    return Trouble(station, error["code"], error["message"], error["hint"], error["path"])


def of_cycle(document: CycleDocument) -> list[Trouble]:
    """What went wrong in the stations of a cycle, QMD included."""
    found = []
    for record in document["stations"]:
        for entry in record["sessions"]:
            if is_bad(entry):
                words = entry.get("reason") or entry.get("words", "")
                code = entry.get("code") or ("gateway_unreachable" if entry.get("backoff") else "failed")
                found.append(
                    Trouble(record["station"], code, words, entry.get("hint", ""), subjects=(subject_of(entry),))
                )
        qmd = record.get("qmd")
        if qmd is not None and qmd["outcome"] == "failed":
            found.append(
                Trouble(record["station"], "qmd_failed", qmd.get("reason", ""), qmd.get("hint", ""), path="qmd")
            )
    return found


def is_bad(entry: SessionRecord) -> bool:
    """Did it fail, or wait because OpenClaw does not answer? Waiting for people at work is no problem."""
    return entry["outcome"] in BAD or bool(entry.get("backoff"))


def subject_of(entry: SessionRecord) -> Subject:
    """Whose entry it is."""
    return Subject(entry["agent"], entry["session_key"], entry["session_id"])


def over_after_cycle(document: CycleDocument) -> IsOver:
    """A problem is over with a cycle in which its station did that session well; one of the station, when it ran."""
    ran = {record["station"] for record in document["stations"]}
    well = {
        (record["station"], entry["agent"], entry["session_id"])
        for record in document["stations"]
        for entry in record["sessions"]
        if not is_bad(entry)
    }

    def is_over(trouble: Trouble, subject: Subject | None) -> bool:
        if subject is None:
            return trouble.station in ran
        return (trouble.station, subject.agent, subject.session_id) in well

    return is_over


def entry_of(trouble: Trouble) -> dict[str, Any]:
    """A problem as a status document and an event hold it."""
    remedy = remedy_of(trouble.code)
    at_once = trouble.station == STATUS
    return {
        "code": trouble.code,
        "message": trouble.message,
        "hint": trouble.hint or hint_for(trouble.code, trouble.path),
        "path": trouble.path,
        "station": trouble.station,
        "hurts": remedy.rank,
        "cause": remedy.cause,
        "needs_person": remedy.rank != NOTE and (at_once or trouble.times >= remedy.patience),
        "since": format_ms(trouble.since),
        "last": format_ms(trouble.last),
        "times": trouble.times,
        "sessions": len(trouble.subjects),
        "some": [name_of(each) for each in trouble.subjects[:SOME]],
    }


def name_of(subject: Subject) -> str:
    """A session as people know it."""
    return subject.session_key or subject.session_id
