"""moon-sample: measure, decide, and start the first station that has work."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple, NoReturn

from moon import config as configuration
from moon import output, resources
from moon.cli.run_tool import say_error
from moon.clock import format_ms, now_ms, parse_ms
from moon.cycle import session_states as states
from moon.errors import DONE, FAILED, PARTIAL, MoonError
from moon.files import Lock
from moon.health import noting
from moon.health.problems import Subject
from moon.home_format import claim
from moon.log_parts import set_aside_when_full
from moon.openclaw.locate import state_dir
from moon.paths import Home, launchd_log
from moon.sampling import quiet, sampler
from moon.trust import NotTrusted

LAUNCHD_LOG_BYTES = 4 << 20
DAY_MS = 86_400_000
EXAMPLES = """\
  moon-sample                                  one tick, as the timer runs it
  moon-sample --no-exec --json | jq .sessions  how full every session is, and what is due
  moon-sample --no-exec | moon-archive | moon-index
"""


def main(arguments: list[str]) -> int:
    """Run one tick and return its exit code; does not return when a station is started."""
    options = parse(arguments)
    home, began = Home.from_environment(), time.time_ns()
    if options.no_exec:
        return show(home, configuration.load(home))
    try:
        return tick(home, configuration.load(home), options.json, began)
    except NotTrusted:
        raise  # what somebody else may write is not written to
    except Exception as error:  # whatever it is: it is kept for moon-status, and said by whoever called
        noting.note_crash(home, configuration.load_to_read(home)[0], noting.LOOK, error)
        raise


class Options(NamedTuple):
    """What the command line says; a bare call, as the timer makes it, needs no parser for that."""

    no_exec: bool = False
    json: bool = False


def parse(arguments: list[str]) -> Options:
    """Read the command line."""
    if not arguments:
        return Options()
    from moon.cli.parser import Parser

    parser = Parser("moon-sample", "Measure how full every session is and start what is due.", EXAMPLES)
    parser.add_argument("--no-exec", action="store_true", help="print the usage document and change nothing")
    parser.add_argument("--json", action="store_true", help="print the usage document")
    return Options(**vars(parser.parse_args(arguments)))


def show(home: Home, config: configuration.Config) -> int:
    """Print the usage document; the state is read and not written."""
    now = now_ms()
    sample = sampler.look(home, config, states.peek(home), now)
    print_usage(sample, now)
    return exit_code(sample)


def tick(home: Home, config: configuration.Config, as_json: bool, began: int) -> int:
    """One look under the lock; goes on as the first station when something is due.

    `began`: the nanosecond before the configuration was read.
    """
    lock = Lock.take(home.lock_file)
    claim(home)
    bound_launchd_log()
    finish_forgetting(home, lock)
    state, problem = states.load(home)
    if problem is not None:
        say_error("moon-sample", problem)
    now, looked_before = now_ms(), state.heartbeat
    state.heartbeat = now
    sampler.take_up(home, config, state, lock, now)
    agents = str(state_dir(config) / "agents")
    world = quiet.look_around(quiet.home_folder(), agents, began)
    sample = sampler.look(home, config, state, now)
    said = set(state.notices)
    sampler.remember(home, config, state, sample, now)
    health = noting.note_tick(
        home, config, sample.failures, lambda *about: is_still_due(home, state, *about), looked_before, now
    )
    if as_json:
        print_usage(sample, now)
    for error in sample.problems:
        if error.message not in said:
            say_error("moon-sample", error)
    if sample.has_work:
        document = sampler.open_cycle(home, config, state, sample, now)
        states.save(home, state)
        quiet.forget(quiet.home_folder())
        sampler.start(home, document, lock)
    states.save(home, state)
    if is_a_day_ago(health.checked.get("at", ""), now):
        check_a_part(lock)
    if config.copies or config.index.engine == "postgresql":
        copy_what_is_new(home, config, lock)
    until = sampler.stays_quiet_until(home, config, state, sample, now)
    quiet.note_quiet(quiet.home_folder(), world, agents, now, until)
    return exit_code(sample)


def is_a_day_ago(when: str, now: int) -> bool:
    """Were the archives looked at last a day ago? A clock that was set back counts as a day; never does not."""
    last = parse_ms(when) if when else None
    return last is not None and not 0 <= now - last < DAY_MS


def check_a_part(lock: Lock) -> NoReturn:
    """Become moon-verify for the archives that are looked at today. Does not return."""
    become(lock, "verify", "--daily")


def become(lock: Lock, tool: str, *arguments: str) -> NoReturn:
    """Go on as another tool that keeps the lock."""
    lock.hand_on()
    program = resources.program(tool)
    os.execv(program, [str(program), *arguments])


def finish_forgetting(home: Home, lock: Lock) -> None:
    """What somebody asked to be forgotten comes before anything else; becomes moon-forget where it was cut short."""
    if not (home.state / "forget.json").exists():
        return
    from moon.forget.request import is_due, read_note

    request = read_note(home)
    if request is not None and is_due(home, request):
        become(lock, "forget", "--resume")


def copy_what_is_new(home: Home, config: configuration.Config, lock: Lock) -> None:
    """Become moon-mirror, without the lock, where something is to be copied or sent; does not return then."""
    from moon.copies.copy_due import is_copy_due
    from moon.shared_index.outbox_state import is_send_due

    if is_copy_due(home, config) or is_send_due(home, config):
        quiet.forget(quiet.home_folder())
        lock.release()
        program = resources.program("mirror")
        os.execv(program, [str(program), "--timer"])


def is_still_due(home: Home, state: states.State, station: str, subject: Subject) -> bool:
    """Has this station anything left to do for that session?"""
    agent, key, session_id = subject
    session, owed = state.sessions.get((agent, key)), state.owed.get((agent, session_id))
    if owed is not None and station in owed.stations:
        return True
    if session is None:
        return False
    if station == "rollover" and home.rollover_journal(agent, key).exists():
        return True
    if station == "distill" and session.undistilled:
        return True
    return session.session_id == session_id and station in session.pending


def bound_launchd_log() -> None:
    """launchd keeps no bound on what it writes for us; systemd's journal has its own."""
    if sys.platform == "darwin":
        with contextlib.suppress(MoonError):
            set_aside_when_full(launchd_log(Path.home()), LAUNCHD_LOG_BYTES, keep=1)


def print_usage(sample: sampler.Sample, now: int) -> None:
    """The usage document as JSON."""
    from moon import schema
    from moon.openclaw.usage_rows import usage_document

    output.put(schema.dump("usage", usage_document(format_ms(now), sample.rows, sample.problems)))


def exit_code(sample: sampler.Sample) -> int:
    """1 when no session could be read, 3 when some could not."""
    if not sample.failures:
        return DONE
    return PARTIAL if sample.rows else FAILED
