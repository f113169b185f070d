"""Does a continuity map hold what a careful colleague would need to go on? (`make bench-distill`)

Each session of `maps/*.txt` and some of `labelled/` goes day by day through the real archive, index, distill and
rollover, against the stand-in for OpenClaw. What the map must hold, and what its lists must not, was written down in
`maps/needs.json` before any map was looked at: of each need, one line of the map holds all its words.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelled_sessions import FOLDER, parse_session
from tests.support import events
from tests.support.gateway import KEY, Gateway
from tests.support.stores import NOW_MS

from moon.clock import format_ms
from moon.distill.turns import Turn
from moon.text import token_estimate

MAPS = Path(__file__).with_name("maps")
DAY_MS = 24 * 3600 * 1000


def lines_of(turns: list[Turn], when: str) -> Iterator[bytes]:
    """Turns as the events of a transcript."""
    for turn in turns:
        if turn.role == "call":
            name, _, command = turn.text.partition(" ")
            yield events.tool_call(turn.event_id, name, {"command": command})
        elif turn.role == "result":
            yield events.tool_result(turn.event_id, "exec", turn.text)
        else:
            yield events.message(turn.event_id, turn.text, turn.role, when=when)


def make_map(path: Path, folder: Path) -> tuple[str, dict[str, Any]]:
    """Roll a session over; the map as Markdown and as document."""
    with pytest.MonkeyPatch.context() as patch:
        gateway = Gateway(folder, patch)
        gateway.set(MOON_DISTILL__PROVIDERS="local")
        windows = parse_session(path)
        lines = [events.header("s1")]
        for number, turns in enumerate(windows):
            now = NOW_MS + number * DAY_MS
            gateway.set(MOON_NOW=format_ms(now))
            lines += lines_of(turns, format_ms(now - 3_600_000))
            gateway.store.put(KEY, "s1", lines, used=45_000)
            _quietly(gateway.archive_and_index)
            assert _quietly(gateway.run, "distill", "--session", KEY) == 0
        assert _quietly(gateway.run, "rollover", "--session", KEY) == 0, gateway.entry("rollover")
        path = gateway.moon.home.root / gateway.links()[-1]["continuity_path"]
        return path.with_suffix(".md").read_text("utf-8"), json.loads(path.read_bytes())


def _quietly(work: Any, *arguments: str) -> Any:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return work(*arguments)


def missing(text: str, needs: list[list[str]]) -> list[list[str]]:
    """The needs that no line of the map meets."""
    lines = [line.casefold() for line in text.splitlines()]
    return [need for need in needs if not any(all(word.casefold() in line for word in need) for line in lines)]


def main(arguments: list[str]) -> int:
    """Print for each session what is missing, and the share over all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these sessions")
    parser.add_argument("--show", action="store_true", help="print the maps")
    options = parser.parse_args(arguments)
    paths = {path.stem: path for path in [*MAPS.glob("*.txt"), *FOLDER.glob("*/*.txt")]}
    met = asked = wrong = 0
    for name, wanted in json.loads((MAPS / "needs.json").read_text("utf-8")).items():
        if options.names and name not in options.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            text, _ = make_map(paths[name], Path(folder))
        lacks = missing(text, wanted["needs"])
        # The last words stand in their order; what they take back themselves is no claim of the map's.
        lists = text.partition("\n## How it ended")[0] + text.partition("\n## How it ended")[2].partition("\n\n")[2]
        held = [each for each in wanted["not"] if each not in missing(lists, [each])]
        met, asked, wrong = met + len(wanted["needs"]) - len(lacks), asked + len(wanted["needs"]), wrong + len(held)
        print(f"{name}: {len(wanted['needs']) - len(lacks)} of {len(wanted['needs'])}, {token_estimate(text)} tokens")
        for need in lacks:
            print(f"  missing: {' + '.join(need)}")
        for each in held:
            print(f"  must not be there: {' + '.join(each)}")
        if options.show:
            print(text)
    print(f"{met} of {asked} needs met ({met / max(1, asked):.2f}); {wrong} that must not be there")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
