"""A status document as a Prometheus text file, for node_exporter's textfile collector. Pure.

No session's name goes in: a collector keeps each label for ever, and others may read what it keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moon.clock import parse_ms
from moon.remedies import RANKS
from moon.status.status_problems import needs_person

Document = dict[str, Any]
Sample = tuple[str, float]


def as_metrics(document: Document) -> str:
    """The text of the file."""
    lines = []
    for name, kind, words, samples in _families(document):
        lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{labels} {value:.17g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _families(document: Document) -> Iterator[tuple[str, str, str, list[Sample]]]:
    """(name, type, help, samples) of each metric."""
    gauge, counter = "gauge", "counter"
    kept, index, disk, beat = document["archives"], document["index"], document["disk"], document["heartbeat"]
    wrong = needs_person(document)
    yield "moon_up", gauge, "1 when nothing needs a person.", [("", not wrong)]
    yield "moon_problems", gauge, "Problems by what they hurt.", _by_rank(document["problems"])
    yield "moon_problems_need_person", gauge, "Problems that do not pass by themselves.", [("", len(wrong))]
    yield "moon_status_timestamp_seconds", gauge, "When this was written.", [("", _seconds(document["taken_at"]))]
    yield "moon_last_tick_timestamp_seconds", gauge, "When moon-sample last looked.", [("", _seconds(beat["at"]))]
    good = [(f'{{station="{name}"}}', _seconds(when)) for name, when in document["good"].items()]
    yield "moon_last_good_timestamp_seconds", gauge, "When a station last did all its work well.", good
    yield "moon_sessions", gauge, "Sessions by state.", _by_state(document["sessions"])
    waiting = sum(bool(each["pending"]) for each in document["sessions"])
    yield "moon_sessions_waiting", gauge, "Sessions in which something is due and not done.", [("", waiting)]
    fullest = max((each["ratio"] or 0.0 for each in document["sessions"]), default=0.0)
    yield "moon_session_ratio_max", gauge, "The fullest session, as a part of its prompt budget.", [("", fullest)]
    yield "moon_archives", gauge, "Archives that are kept.", [("", kept["archives"])]
    yield "moon_archived_events", gauge, "Events in the archives.", [("", kept["events"])]
    yield "moon_archives_not_indexed", gauge, "Archives that a search cannot find yet.", [("", index["lag"])]
    places = [(f'{{what="{name}"}}', disk[f"{name}_bytes"]) for name in ("raw", "pages", "index")]
    yield "moon_disk_bytes", gauge, "Bytes on the disk.", places
    if disk["free_bytes"] is not None:
        yield "moon_disk_free_bytes", gauge, "Room that is left.", [("", disk["free_bytes"])]
    done = [(f'{{action="{name}"}}', count) for name, count in document["counters"].items()]
    yield "moon_actions_total", counter, "What the ticks did.", done
    spent = document["distillation"]
    if spent is not None:
        yield "moon_model_calls_today", gauge, "Calls to models since midnight.", [("", spent["calls"])]
        yield "moon_model_tokens_today", gauge, "Tokens of models since midnight.", [("", spent["tokens"])]


def _by_rank(problems: list[Document]) -> list[Sample]:
    return [(f'{{hurts="{rank}"}}', sum(each["hurts"] == rank for each in problems)) for rank in RANKS]


def _by_state(sessions: list[Document]) -> list[Sample]:
    states = sorted({each["state"] for each in sessions})
    return [(f'{{state="{state}"}}', sum(each["state"] == state for each in sessions)) for state in states]


def _seconds(when: str | None) -> float:
    return (parse_ms(when) or 0) / 1000
