"""A status document in words, for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from moon.clock import parse_ms
from moon.health.problems import STATUS
from moon.remedies import RANKS
from moon.status.copies_state import copy_words
from moon.status.status_problems import needs_person
from moon.text import counted, readable_size, shown, span

Document = dict[str, Any]
LABEL = 12
# One screen, whatever there is.
SHOWN_PROBLEMS = 5
SHOWN_SESSIONS = 8


def describe(document: Document, *, everything: bool = False) -> list[str]:
    """The lines to print: what is wrong first; the sessions in which something happens, or with `everything` all."""
    now = parse_ms(document["taken_at"]) or 0
    if not document["set_up"]:
        first = f"Moon has not run here yet: {document['home']} is empty or not there."
        return [first, *_problems(document["problems"], now), "`moon-verify` says what is missing"]
    lines = _problems(document["problems"], now)
    lines += [f"{label:<{LABEL}}{words}" for label, words in _rows(document, now)]
    return [*lines, *_sessions(document["sessions"], now, everything)]


def check_line(document: Document) -> str:
    """All of it in one line, for monitoring."""
    wrong = needs_person(document)
    if not wrong:
        kept, beat = document["archives"], document["heartbeat"]
        passing = f", {counted(len(document['problems']), 'passing problem')}" if document["problems"] else ""
        looked = f"looked {span(beat['age_seconds'] or 0)} ago"
        return (
            f"OK: {looked}, {counted(len(document['sessions']), 'session')}, {counted(kept['archives'], 'archive')}"
            + (passing)
        )
    first = wrong[0]
    more = f"; {len(wrong) - 1} more, see `moon-status`" if len(wrong) > 1 else ""
    return f"PROBLEM: {first['message']}{_whose(first)} - {first['hint']}{more}"


def _problems(problems: list[Document], now: int) -> list[str]:
    """A paragraph for each, those that need a person first; as many as leave the rest on the screen."""
    if not problems:
        return []
    needed = sum(each["needs_person"] for each in problems)
    waiting = len(problems) - needed
    heads = [f"{needed} {'needs' if needed == 1 else 'need'} you"] if needed else []
    heads += [f"{waiting} may pass by {'itself' if waiting == 1 else 'themselves'}"] if waiting else []
    which = "which" if len(heads) == 1 else "of which"
    heads = [head.removeprefix(f"{len(problems)} ") for head in heads]
    lines = [f"{counted(len(problems), 'problem')}, {which} {' and '.join(heads)}"]
    for each in problems[:SHOWN_PROBLEMS]:
        mark = "!" if each["needs_person"] else "-"
        lines += [f"{mark} {each['message']}{_whose(each)}", f"    {_when(each, now)}"]
        lines.append(f"    hint: {each['hint']}")
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  and {len(problems) - SHOWN_PROBLEMS} more, in `moon-status --json`")
    return [*lines, ""]


def _whose(problem: Document) -> str:
    """` (3 sessions: a, b, c)`"""
    if not problem["sessions"]:
        return ""
    more = problem["sessions"] - len(problem["some"])
    names = ", ".join(shown(each) for each in problem["some"]) + (f" and {more} more" if more else "")
    return f" ({counted(problem['sessions'], 'session')}: {names})"


def _when(problem: Document, now: int) -> str:
    """What it hurts, at which station, since when and how often."""
    words = RANKS[problem["hurts"]]
    if problem["station"] == STATUS:
        return words
    seen = f"moon-{problem['station']}, since {span(_age(problem['since'], now))}"
    often = f", seen {counted(problem['times'], 'time')}, the last {ago(problem['last'], now)}"
    return f"{words}; {seen}" + (often if problem["times"] > 1 else "")


def _age(when: str, now: int) -> int:
    return max(0, now - (parse_ms(when) or now)) // 1000


def _rows(document: Document, now: int) -> Iterator[tuple[str, str]]:
    yield "home", document["home"]
    yield "heartbeat", _heartbeat(document["heartbeat"])
    yield "last good", _good(document["good"], now)
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
    meant = "" if index.get("vectors") is None else f", the meaning of {index['vectors']} is known"
    yield "index", f"{counted(index['archives'], 'archive')}, {counted(index['messages'], 'message')}{meant}{lag}"
    for copy in document.get("copies", ()):
        yield "copy", copy_words(copy, now)
    if document.get("shared_index"):
        yield "shared", _shared(document["shared_index"], now)
    if document["distillation"] is not None:
        yield "models", _models(document["distillation"])
    disk = document["disk"]
    free = "" if disk["free_bytes"] is None else f"; {readable_size(disk['free_bytes'])} free"
    free += f", for {disk['days_left']} days at today's growth" if (disk["days_left"] or 10_000) < 1_000 else ""
    parts = (("archives", "raw_bytes"), ("pages", "pages_bytes"), ("index", "index_bytes"))
    budget = disk.get("budget_bytes", 0)
    limit = f" of {readable_size(budget)} that it may take" if budget else ""
    yield "disk", ", ".join(f"{name} {readable_size(disk[field])}" for name, field in parts) + limit + free
    counters = [f"{name.replace('_', ' ')} {n}" for name, n in document["counters"].items() if "nothing" not in name]
    if counters:
        yield "counters", ", ".join(counters)


def _heartbeat(heartbeat: Document) -> str:
    every = f"looks every {heartbeat['interval_seconds']} s"
    if heartbeat["at"] is None:
        return "none yet: moon-sample has never looked"
    if heartbeat["ahead_seconds"]:
        return f"{span(heartbeat['ahead_seconds'])} in the future, {every}"
    return f"{'LATE: ' if heartbeat['late'] else ''}{span(heartbeat['age_seconds'])} ago, {every}"


def _good(good: dict[str, str | None], now: int) -> str:
    """When each station last did all its work well; one that never had to is left out."""
    known = [f"{name} {ago(when, now)}" for name, when in good.items() if when]
    return ", ".join(known) or "nothing yet"


def _shared(shared: Document, now: int) -> str:
    """Whether other machines find what was said here."""
    whole = f"had everything {ago(shared['sent_at'], now)}" if shared["sent_at"] else "never had everything"
    waiting = f", {counted(shared['waiting'], 'archive')} wait to be sent" if shared["waiting"] else ""
    return whole + waiting + (f"; away since {ago(shared['failure']['since'], now)}" if shared["failure"] else "")


def _models(spent: Document) -> str:
    words = f"today {spent['calls']} of {spent['calls_per_day']} calls, "
    words += f"{spent['tokens']} of {spent['tokens_per_day']} tokens"
    for name, until in spent["waiting"].items():
        why = f" ({spent['reasons'][name]})" if name in spent["reasons"] else ""
        words += f"; {name} is left alone until {until}{why}"
    return words


def _sessions(sessions: list[Document], now: int, everything: bool) -> Iterator[str]:
    """Where work fails or waits, then the fullest; the rest in one line."""
    if not sessions:
        return
    listed = sorted(sessions, key=_urgency)[: None if everything else SHOWN_SESSIONS]
    yield "sessions (how full at the last look, state, archives, last action)"
    names = [shown(each["session_key"] or each["session_id"]) for each in listed]
    width = min(48, max(map(len, names)))
    for name, each in zip(names, listed, strict=True):
        ratio = "   ?" if each["ratio"] is None else f"{each['ratio']:4.0%}"
        kept = f"{each['archives']:>3} {'archive ' if each['archives'] == 1 else 'archives'}"
        yield f"  {name:<{width}}  {ratio}  {each['state']:<16}  {kept}  {_last(each['last'], now)}".rstrip()
        if each["pending"]:
            yield f"    waits: {', '.join(each['pending'])} ({_why(each, now)})"
        elif each.get("held"):
            yield f"    held back from prune and rollover: {shown(each['held'])}"
    folded = Counter(each["state"] for each in sorted(sessions, key=_urgency)[len(listed) :])
    if folded:
        states = ", ".join(f"{count} {state}" for state, count in folded.most_common())
        yield f"  and {counted(sum(folded.values()), 'session')} more: {states} (`moon-status --all` lists them)"


def _urgency(session: Document) -> tuple[int, bool, float, str]:
    return (
        -session["attempts"],
        not (session["pending"] or session.get("held")),
        -(session["ratio"] or 0.0),
        session["session_key"],
    )


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
