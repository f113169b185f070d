"""moon-archive: the lossless archive, looking after it, and rebuilding a session from it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from moon.archive.archive_station import work
from moon.cli.archive_care import run_list, run_pack, run_restore, run_verify
from moon.cli.archive_repair import run_repair
from moon.cli.station_command import run_station, station_parser
from moon.clock import format_ms, now_ms
from moon.config import Config
from moon.errors import UsageWrong
from moon.openclaw.locate import open_stores
from moon.openclaw.usage_rows import transcript_row, usage_document
from moon.sampling.transcripts_due import by_session

if TYPE_CHECKING:
    from moon.documents import UsageDocument

EXAMPLES = """\
  moon-archive --all                           every transcript of the store, whatever its usage
  moon-archive --session agent:main:main       one session
  moon-sample --no-exec | moon-archive | moon-index
  moon-archive --list --session agent:main:main
  moon-archive --verify                        read every archive back and hold it against the ledger
  moon-archive --repair --dry-run              what is damaged, and what can be made anew
  moon-archive --restore agent:main:main --to main.jsonl
  moon-archive --restore agent:main:main --to-openclaw ~/.openclaw     and `openclaw doctor --session-sqlite import`
"""
CARE = ("verify", "repair", "pack", "list", "restore")


def main(arguments: list[str]) -> int:
    """Archive, or do one of the things that look after the archive; returns the exit code."""
    parser = station_parser("moon-archive", "Archive sessions without loss: exact event bytes, each once.", EXAMPLES)
    care = parser.add_argument_group("to look after the archive")
    care.add_argument("--list", action="store_true", help="name every archive: session, day, events, size, hash")
    care.add_argument("--verify", action="store_true", help="read every archive back, against the ledger")
    care.add_argument("--repair", action="store_true", help="make damaged archives anew, or say what is lost")
    care.add_argument("--from", dest="copies", metavar="FOLDER", help="where --repair also looks for whole copies")
    care.add_argument("--pack", action="store_true", help="join what past days left in small files, all of it")
    care.add_argument("--restore", metavar="SESSION", help="rebuild a session's JSONL from ledger and archives alone")
    care.add_argument("--to", metavar="FILE", help="where --restore writes (- for standard output)")
    care.add_argument("--to-openclaw", metavar="FOLDER", help="let --restore write what OpenClaw's own import reads")
    care.add_argument(
        "--force", action="store_true", help="let --restore write over a file; let --repair go on where all is gone"
    )
    options = parser.parse_args(arguments)
    wanted = [name for name in CARE if getattr(options, name)]
    check_options(options, wanted)
    if wanted:
        actions = {
            "verify": run_verify,
            "repair": run_repair,
            "pack": run_pack,
            "list": run_list,
            "restore": run_restore,
        }
        return actions[wanted[0]](options)
    select = select_everything if options.all else None
    return run_station("archive", work, options, select)


def check_options(options: argparse.Namespace, wanted: list[str]) -> None:
    """Raise `UsageWrong` for options that do not go together."""
    if len(wanted) > 1:
        raise UsageWrong(f"--{wanted[0]} and --{wanted[1]} are two things", hint="call moon-archive once for each")
    if bool(options.restore) != bool(options.to or options.to_openclaw) or (options.to and options.to_openclaw):
        raise UsageWrong(
            "--restore SESSION and one of --to FILE and --to-openclaw FOLDER go together",
            hint="see `moon-archive --help`",
        )
    if options.copies and not options.repair:
        raise UsageWrong("--from says where --repair looks for copies", hint="give --repair too")
    if options.force and not (options.restore or options.repair):
        raise UsageWrong("--force goes with --restore or --repair", hint="see `moon-archive --help`")


def select_everything(config: Config) -> UsageDocument:
    """Every transcript that any store holds, in whatever form, also those that no session points to any more."""
    stores = open_stores(config)
    held = by_session(holding.transcript for _, holding in stores.holdings())
    rows = [
        transcript_row(transcripts, due=["archive", "index"], reason="every transcript was asked for")
        for transcripts in held.values()
    ]
    return usage_document(format_ms(now_ms()), rows, [*stores.problems, *stores.notices()])
