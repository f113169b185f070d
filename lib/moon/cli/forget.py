"""moon-forget: take a conversation, or what was said in some, out of everything that Moon keeps."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from moon import config as configuration
from moon import output, schema
from moon.cli.forgetting import Outcome, Survey, carry_out, survey
from moon.cli.parser import Parser
from moon.clock import date_start, format_ms, now_ms, now_text
from moon.config import Config
from moon.cycle.station_runner import take_lock
from moon.errors import DONE, FAILED, PARTIAL, MoonError, UsageWrong
from moon.forget.request import Request, read_note, write_note
from moon.paths import Home
from moon.text import counted, readable_size
from moon.text_match import TextMatch
from moon.vault.catalog import Catalog, open_catalog

EXAMPLES = """\
  moon-forget agent:main:main --dry-run        what of a conversation would go, from where
  moon-forget agent:main:main --yes            all of it, in every window
  moon-forget --match 'hunter2-prod' --yes     every message that holds this text, in all conversations
  moon-forget --before 2025-01-01 --agent work what an agent's conversations held before that day
"""
SHOWN = 20
# What is derived from an archive as a whole.
ENTERED_AGAIN = frozenset({"index", "pages", "QMD", "distillations", "memory"})


def main(arguments: list[str]) -> int:
    """Say what would go, ask, and let it go; returns the exit code."""
    options = parse(arguments)
    home = Home.from_environment()
    config = configuration.load(home)
    if options.resume:
        return resume(home, config)
    request = request_of(options, config)
    with open_catalog(home) as catalog:
        request = behind_its_archives(catalog, request)
        found = survey(home, config, catalog, request)
    if options.dry_run or not found.has_work():
        tell(config, found, Outcome(list(found.plan.problems)), request, options.json, dry_run=options.dry_run)
        return exit_code(found, Outcome(list(found.plan.problems)))
    if not options.yes:
        if not options.json:
            output.say(*words_of(config, found, dry_run=True))
        if not output.confirm("Remove all of this for good?"):
            raise UsageWrong(
                "nothing was removed", hint="give --yes to go on without being asked, or --dry-run to look"
            )
    lock = take_lock(home, options.wait)
    try:
        earlier = read_note(home)
        with open_catalog(home) as catalog:
            if earlier is not None:  # the note holds one request; that one first
                carry_out(home, config, catalog, earlier)
            found, done = carry_out(home, config, catalog, request)
    finally:
        lock.release()
    forget_elsewhere(home, config, found, done)
    tell(config, found, done, request, options.json, dry_run=False)
    return exit_code(found, done)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    about = "Remove a conversation, or what was said in some, from everything that Moon keeps, for good."
    parser = Parser("moon-forget", about, EXAMPLES)
    parser.add_argument("session", nargs="*", metavar="SESSION", help="a session, by key or id; none: every session")
    parser.add_argument("--before", metavar="DATE", default="", help="what happened before that day or time")
    parser.add_argument("--match", metavar="TEXT", default="", help="the messages, calls and results that hold this")
    parser.add_argument("--agent", metavar="NAME", default="", help="only sessions of this agent")
    parser.add_argument("--reason", metavar="WORDS", default="", help="why, for the ledger; name nobody here")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, from where, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print the forget document")
    parser.add_argument("--wait", metavar="SECONDS", type=float, default=60, help="wait this long for the lock (60)")
    parser.add_argument("--resume", action="store_true", help="finish what was cut short, as the timer does")
    return parser.parse_args(arguments)


def request_of(options: argparse.Namespace, config: Config) -> Request:
    """What is asked for. Raises `UsageWrong`."""
    if not (options.session or options.before or options.match):
        raise UsageWrong("say what to forget: SESSION, --before DATE or --match TEXT", hint="see `moon-forget --help`")
    if options.match:
        TextMatch(options.match)
    before = before_of(options.before, config) if options.before else ""
    if options.match and TextMatch(options.match).is_in(options.reason):
        raise UsageWrong("--reason holds the text that is to be forgotten", hint="the ledger keeps the reason")
    return Request(
        asked_at=now_text(),
        sessions=tuple(options.session),
        agent=options.agent,
        before=before,
        match=options.match,
        reason=options.reason,
    )


def behind_its_archives(catalog: Catalog, request: Request) -> Request:
    """The request, asked for no sooner than its archives were made: the clock may have been set back since."""
    if not request.is_whole:
        return request
    named = set(request.sessions)
    archived = (each.archived_at for each in catalog.segments() if named & {each.session_key, each.session_id})
    return request._replace(asked_at=max([request.asked_at, *archived]))


def before_of(text: str, config: Config) -> str:
    """A day or time as documents hold it. Raises `UsageWrong`."""
    at = date_start(text, config.timezone)
    if at is None:
        raise UsageWrong(f"--before {text}: no date", hint="2025-01-31, or 2025-01-31T18:00:00Z")
    if at > now_ms():
        raise UsageWrong(f"--before {text} has not come yet", hint="name the sessions to forget all of them")
    return format_ms(at)


def resume(home: Home, config: Config) -> int:
    """Finish what was cut short; nothing to do is no failure."""
    lock = take_lock(home, 0)
    try:
        request = read_note(home)
        if request is None:
            return DONE
        # Noted before it is tried: what stands in its way must not keep every tick from its work.
        request = request._replace(attempts=request.attempts + 1)
        write_note(home, request)
        with open_catalog(home) as catalog:
            found, done = carry_out(home, config, catalog, request)
    finally:
        lock.release()
    forget_elsewhere(home, config, found, done)
    tell(config, found, done, request, as_json=False, dry_run=False)
    return exit_code(found, done)


def forget_elsewhere(home: Home, config: Config, found: Survey, done: Outcome) -> None:
    """Take it out of the index that machines share, without the lock; where that is away, it goes later."""
    if config.index.engine != "postgresql":
        return
    from moon.index.outbox import forget_now

    error = forget_now(home, config, {sha for each in found.plan.sessions for sha in each.hashes()})
    if error is not None:
        hint = "it goes as soon as the shared index can be reached; `moon-index --send` tries at once"
        done.problems.append(MoonError(f"the shared index still holds it: {error.message}", hint=hint, code=error.code))


def exit_code(found: Survey, done: Outcome) -> int:
    """0; 3 where some could not be done or is left; 1 where nothing could."""
    if not done.problems and not done.left:
        return DONE
    return PARTIAL if found.has_work() or found.plan.sessions else FAILED


def tell(config: Config, found: Survey, done: Outcome, request: Request, as_json: bool, *, dry_run: bool) -> None:
    """Print the document, and say it in words."""
    if as_json:
        output.put(schema.dump("forget", document_of(found, done, request, dry_run=dry_run)))
    output.say(*words_of(config, found, dry_run=dry_run))
    for each in done.left:
        output.say(f"  still in {each.path}: {each.action}")
    for error in done.problems:
        output.say(f"  {error.message}", *([f"    hint: {error.hint}"] if error.hint else []))


def outcome_of(found: Survey, *, dry_run: bool) -> str:
    """One line in words."""
    sessions = found.plan.with_work()
    events = sum(each.events for each in sessions)
    if not found.has_work():
        return "nothing to forget"
    words = f"{counted(events, 'event')} of {counted(len(sessions), 'session')}"
    return f"would forget {words}" if dry_run else f"forgot {words}"


def words_of(config: Config, found: Survey, *, dry_run: bool) -> list[str]:
    """What goes, from where, and what OpenClaw itself still has."""
    lines = [f"moon-forget: {outcome_of(found, dry_run=dry_run)}"]
    for each in found.plan.with_work()[:SHOWN]:
        size = f", {readable_size(each.bytes)}" if each.bytes else ""
        part = "all of it" if each.is_whole else "in part"
        name = each.session_key or each.session_id
        lines.append(f"  {name} of {each.agent}: {counted(each.events, 'event')}{size}, {part}")
    more = len(found.plan.with_work()) - SHOWN
    lines += [f"  and {counted(more, 'session')} more"] if more > 0 else []
    in_part = any(not each.is_whole for each in found.plan.with_work())
    for place in found.places:
        size = f", {readable_size(place['bytes'])}" if place["bytes"] else ""
        anew = ", all of these archives; what is left of them is entered again" if in_part else ""
        lines.append(
            f"  from {place['place']}: {place['items']}{size}{anew if place['place'] in ENTERED_AGAIN else ''}"
        )
    held = [each for each in found.plan.sessions if each.held]
    for each in held[:SHOWN]:
        where = ", ".join(dict.fromkeys(place.path for place in each.held))
        events = sum(place.events for place in each.held)
        lines.append(f"  OpenClaw itself still has {counted(events, 'event')} of {each.session_id} in {where}")
    if held:
        lines.append(f"    to delete a session there: {command_for(held[0].agent, held[0].session_key)}")
        lines.append("    Moon does not archive these events again, whether they stay there or not")
    if config.copies:
        lines.append("  copies that are configured lose it with the next run of moon-mirror")
    lines.append("  backups made before keep it until they are made anew")
    return lines if found.has_work() or held else lines[:1]


def command_for(agent: str, session_key: str) -> str:
    """How OpenClaw deletes a session."""
    return f"openclaw sessions delete {shlex.quote(session_key or 'KEY')} --agent {shlex.quote(agent)}"


def document_of(found: Survey, done: Outcome, request: Request, *, dry_run: bool) -> dict[str, Any]:
    """The `moon.forget/1` document."""
    sessions = found.plan.with_work()
    return {
        "schema": "moon.forget/1",
        "ok": not (done.problems or done.left),
        "dry_run": dry_run,
        "outcome": outcome_of(found, dry_run=dry_run),
        "changed": not dry_run and found.has_work(),
        "asked_at": request.asked_at,
        "reason": request.words(),
        "events": sum(each.events for each in sessions),
        "bytes": sum(each.bytes for each in sessions),
        "sessions": [
            {
                "agent": each.agent,
                "session_key": each.session_key,
                "session_id": each.session_id,
                "whole": each.is_whole,
                "events": each.events,
                "bytes": each.bytes,
            }
            for each in sessions
        ],
        "places": found.places,
        "openclaw": [
            {
                "agent": each.agent,
                "session_key": each.session_key,
                "session_id": each.session_id,
                "path": place.path,
                "events": place.events,
                "command": command_for(each.agent, each.session_key),
            }
            for each in found.plan.sessions
            for place in each.held
        ],
        "left": [{"path": str(each.path), "reason": each.action} for each in done.left],
        "errors": [error.as_dict() for error in done.problems],
    }
