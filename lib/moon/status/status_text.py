"""A status document in words, for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moon.clock import parse_ms
from moon.text import counted, readable_size, shown

Document = dict[str, Any]
LABEL = 12


def describe(document: Document) -> list[str]:
    """The lines to print."""
    if not document["set_up"]:
        return [
            f"Moon has not run here yet: {document['home']} is empty or not there.",
            "hint: `make install` starts the timer; `moon-sample` looks once; `moon-verify` says what is missing",
        ]
    now = parse_ms(document["taken_at"]) or 0
    lines = [f"{label:<{LABEL}}{words}" for label, words in _rows(document, now)]
    lines += _sessions(document["sessions"], now)
    for problem in document["problems"]:
        lines += [f"problem: {problem['message']}", f"  hint: {problem['hint']}"]
    return lines


def _rows(document: Document, now: int) -> Iterator[tuple[str, str]]:
    yield "home", document["home"]
    yield "heartbeat", _heartbeat(document["heartbeat"])
    cycle = document["cycle"]
    if cycle is not None:
        step = cycle["next_station"] or "its end"
        resumed = f", taken up {counted(cycle['resumed'], 'time')}" if cycle["resumed"] else ""
        yield "unfinished", f"cycle {cycle['cycle_id']}, next {step}, begun {ago(cycle['created_at'], now)}{resumed}"
    kept = document["archives"]
    last = f", the last {ago(kept['last_at'], now)}" if kept["last_at"] else ""
    size = readable_size(kept["bytes"])
    of = f"{counted(kept['archives'], 'archive')} of {counted(kept['sessions'], 'session')}"
    yield "archives", f"{of}, {counted(kept['events'], 'event')}, {size}{last}"
    index = document["index"]
    lag = f", {counted(index['lag'], 'archive')} NOT yet indexed (`moon-index --all`)" if index["lag"] else ""
    yield "index", f"{counted(index['archives'], 'archive')}, {counted(index['messages'], 'message')}{lag}"
    if document["distillation"] is not None:
        yield "models", _models(document["distillation"])
    disk = document["disk"]
    free = "" if disk["free_bytes"] is None else f"; {readable_size(disk['free_bytes'])} free"
    parts = (("archives", "raw_bytes"), ("pages", "pages_bytes"), ("index", "index_bytes"))
    yield "disk", ", ".join(f"{name} {readable_size(disk[field])}" for name, field in parts) + free
    counters = [f"{name.replace('_', ' ')} {n}" for name, n in document["counters"].items() if "nothing" not in name]
    if counters:
        yield "counters", ", ".join(counters)


def _heartbeat(heartbeat: Document) -> str:
    every = f"looks every {heartbeat['interval_seconds']} s"
    if heartbeat["at"] is None:
        return "none yet: moon-sample has never looked (`make install` starts the timer)"
    words = f"{span(heartbeat['age_seconds'])} ago, {every}"
    return f"LATE: {words}; is the timer running? see `moon-verify`" if heartbeat["late"] else words


def _models(spent: Document) -> str:
    words = f"today {spent['calls']} of {spent['calls_per_day']} calls, "
    words += f"{spent['tokens']} of {spent['tokens_per_day']} tokens"
    return words + "".join(f"; {name} is left alone until {until}" for name, until in spent["waiting"].items())


def _sessions(sessions: list[Document], now: int) -> Iterator[str]:
    if not sessions:
        return
    yield "sessions (how full at the last look, state, archives, last action)"
    names = [shown(each["session_key"] or each["session_id"]) for each in sessions]
    width = min(48, max(map(len, names)))
    for name, each in zip(names, sessions, strict=True):
        ratio = "   ?" if each["ratio"] is None else f"{each['ratio']:4.0%}"
        kept = f"{each['archives']:>3} {'archive ' if each['archives'] == 1 else 'archives'}"
        yield f"  {name:<{width}}  {ratio}  {each['state']:<16}  {kept}  {_last(each['last'], now)}".rstrip()
        if each["pending"]:
            yield f"    waits: {', '.join(each['pending'])} ({_why(each, now)})"


def _why(session: Document, now: int) -> str:
    """Why something waits, and until when."""
    if session["deferred"]:
        return str(session["deferred"])
    if not session["attempts"]:
        return "next tick"
    times = "once" if session["attempts"] == 1 else f"{session['attempts']} times"
    left = (parse_ms(session["retry_at"]) or 0) - now
    return f"tried {times}; again {f'in {span(left // 1000)}' if left > 0 else 'at the next tick'}"


def _last(last: Document | None, now: int) -> str:
    if last is None:
        return ""
    reason = f": {last['reason']}" if last["reason"] else ""
    return f"{last['action']} {last['outcome']} {ago(last['time'], now)}{reason}"


def ago(when: str, now: int) -> str:
    """`3 min ago`"""
    instant = parse_ms(when)
    return "at an unknown time" if instant is None else f"{span(max(0, now - instant) // 1000)} ago"


def span(seconds: int) -> str:
    """`42 s`, `3 min`, `5 h`, `12 d`"""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
