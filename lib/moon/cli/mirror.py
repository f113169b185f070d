"""moon-mirror: copies of the archive in an object store or on another disk, and a home made again from one."""

from __future__ import annotations

import argparse
import subprocess
from fractions import Fraction

from moon import config as configuration
from moon import output, resources
from moon.cli.parser import Parser
from moon.config import Config
from moon.copies.copy_due import is_copy_due
from moon.copies.copy_errors import CopyAway
from moon.errors import DONE, FAILED, MoonError, UsageWrong
from moon.paths import Home
from moon.report import Report
from moon.shared_index.outbox_state import is_send_due

EXAMPLES = """\
  moon-mirror --init s3://bucket/moon --identity ~/moon.key
                                                make a key, try the bucket, print what belongs in moon.yaml
  moon-mirror                                   copy what is new, as the timer does
  moon-mirror --verify --sample 1/20            read a twentieth of the copy back, and all of its ledger
  moon-mirror --list                            the hosts in each place, and how far each is
  moon-mirror --restore ~/.lilac_metaflora --from s3://bucket/moon --host laptop --identity ~/moon.key
"""
# What a run from the timer takes before it leaves the rest to the next one, and when it is ended all the same: no tick
# looks while it works, and a disk in the network can hang for ever.
TIMER_SECONDS = 45
END_AFTER_SECONDS = 100
KILL_SECONDS = 5
# By hand there is no hurry.
BY_HAND_SECONDS = 86_400.0


def main(arguments: list[str]) -> int:
    """Do the one thing that is asked for; returns the exit code."""
    options = parse(arguments)
    home = Home.from_environment()
    if options.timer:
        return run_from_timer(home)
    if options.init:
        from moon.cli.mirror_setup import init

        return init(home, options)
    if options.list or options.restore:
        from moon.cli import mirror_restore

        return mirror_restore.restore(options) if options.restore else mirror_restore.list_hosts(home, options)
    config = configuration.load(home)
    if not config.copies:
        return finish(nothing_configured(), options.json)
    if options.new_host:
        from moon.cli.mirror_setup import new_host

        return new_host(home, config, options)
    if options.verify:
        from moon.cli.mirror_verify import verify

        return verify(home, config, options)
    return finish(copy(home, config, options.seconds, options.anew), options.json)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line. Raises `UsageWrong`."""
    parser = Parser("moon-mirror", "Copy the archive to other places, and make a home again from a copy.", EXAMPLES)
    what = parser.add_argument_group("instead of copying").add_mutually_exclusive_group()
    what.add_argument("--verify", action="store_true", help="read the copies back and say what is wrong with them")
    what.add_argument("--restore", metavar="DIR", help="make a whole MOON_HOME in this empty folder")
    what.add_argument("--list", action="store_true", help="list the hosts that have a copy, and how far each is")
    what.add_argument("--init", metavar="URL", help="make a key, try the place, and print what belongs in moon.yaml")
    what.add_argument("--new-host", action="store_true", help="go on as a host of its own, with copies of its own")
    what.add_argument(
        "--timer", action="store_true", help="copy if something is due, in bounded time, as the timer does"
    )
    what.add_argument(
        "--anew", action="store_true", help="copy everything again, beside what is there, which is never removed"
    )
    parser.add_argument("--sample", metavar="1/N", type=share, default=1.0, help="with --verify: this share of objects")
    parser.add_argument("--from", metavar="URL", dest="source", default="", help="with --restore, --list: this place")
    parser.add_argument("--host", metavar="HOST", default="", help="with --restore: this host, by its id or name")
    parser.add_argument(
        "--identity", metavar="FILE", default="", help="the file that opens a sealed copy; with --init it is made"
    )
    parser.add_argument(
        "--past", action="store_true", help="with --restore: also what retention left to the copies, into DIR/past"
    )
    parser.add_argument(
        "--no-index", action="store_true", help="with --restore: leave the index to `moon-index --rebuild`"
    )
    parser.add_argument(
        "--seconds",
        metavar="N",
        type=float,
        default=BY_HAND_SECONDS,
        help="copy for about so long; the next run goes on",
    )
    parser.add_argument("--json", action="store_true", help="print a report")
    options = parser.parse_args(arguments)
    if (options.host or options.no_index or options.past) and not options.restore:
        raise UsageWrong("--host, --past and --no-index are for --restore", hint="see `moon-mirror --help`")
    if options.source and not (options.restore or options.list):
        raise UsageWrong("--from is for --restore and --list", hint="where to copy to stands in moon.yaml")
    return options


def share(text: str) -> float:
    """`1/20` or `0.05`. Raises `ArgumentTypeError`."""
    try:
        value = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"a share such as 1/20 is needed, not {text!r}")
    return value


def copy(home: Home, config: Config, seconds: float, anew: bool = False) -> Report:
    """Copy to every place. Raises `LockBusy`."""
    from moon.mirror.mirror_station import copy_all

    report = Report("moon-mirror")
    outcomes = copy_all(home, config, seconds, anew=anew)
    for each in outcomes:
        done = each.done
        report.changed = report.changed or done.changed()
        report.details.append(
            {
                "url": each.url,
                "copied": each.error is None and not done.left,
                "objects": done.objects,
                "bytes": done.bytes,
                "parts": done.parts,
                "removed": done.removed,
                "left": done.left,
            }
        )
        for problem in each.problems():
            report.fail(problem)
    report.outcome = "; ".join(each.words() for each in outcomes)
    return report


def nothing_configured() -> Report:
    """There is nowhere to copy to, which is no failure."""
    return Report("moon-mirror", outcome="no copies are configured; `moon-mirror --init URL` shows how")


def finish(report: Report, as_json: bool) -> int:
    """Print a report; 3 where some of it worked."""
    if as_json:
        output.put(report.as_json())
    output.say(f"moon-mirror: {report.outcome}")
    for error in report.errors:
        output.say(*([f"  {error['message']}"] if error["message"] not in report.outcome else []))
        output.say(*([f"  hint: {error['hint']}"] if error["hint"] else []))
    if not report.errors:
        return DONE
    good = any(each.get("copied") for each in report.details if isinstance(each, dict))
    return report.exit_code if good or report.changed else FAILED


def run_from_timer(home: Home) -> int:
    """Copy in a process of its own, which is ended where it hangs: whatever a place does, the next tick comes. Before
    that, send to the shared index what it lacks, which ends by itself.
    """
    config = configuration.load(home)
    if is_send_due(home, config):
        from moon.index.outbox import send_if_due

        sent = send_if_due(home, config)
        if sent is not None and sent.error is not None:
            output.say(f"moon-mirror: the shared index: {sent.error.message}", f"hint: {sent.error.hint}")
    if not is_copy_due(home, config):
        return DONE
    program = resources.program("mirror")
    child = subprocess.Popen([program, "--seconds", str(TIMER_SECONDS)], stdin=subprocess.DEVNULL)
    try:
        return child.wait(END_AFTER_SECONDS)
    except subprocess.TimeoutExpired:
        note_hanging(home, config)
        return FAILED
    finally:
        end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """End it, first politely; one that waits for a disk in the kernel is left behind, and ends with it."""
    for stop in (child.terminate, child.kill):
        if child.poll() is not None:
            return
        stop()
        try:
            child.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def note_hanging(home: Home, config: Config) -> None:
    """Keep that a place hangs, and leave it alone for a while."""
    from moon.mirror.mirror_station import note_given_up

    error: MoonError = CopyAway(f"copying gave no answer in {END_AFTER_SECONDS} s and was ended")
    note_given_up(home, config, error)
    output.say(f"moon-mirror: {error.message}", f"hint: {error.hint}")
