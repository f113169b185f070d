"""One conversation in each script, all the way: archived, found by its own words, pruned, rolled over.

`python tests/attack/scripts.py` prints what did not come through, and a last line with the counts. OpenClaw is the
stand-in of the tests; everything else is real.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "lib")]

import pytest  # noqa: E402
from tests.support import events  # noqa: E402
from tests.support.gateway import KEY, Gateway  # noqa: E402
from tests.support.script_texts import texts  # noqa: E402

from moon.fulltext import open_reader  # noqa: E402
from moon.rollover import map_delivery, window_opening  # noqa: E402

STEPS = ("archived", "found", "pruned", "rolled over")


def come_through(folder: Path, text: str) -> dict[str, bool]:
    """What a conversation in this script reaches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(map_delivery, "ARRIVAL_SECONDS", 1.0)
        patch.setattr(window_opening, "REST_SECONDS", 0.5)
        gateway = Gateway(folder, patch)
        gateway.set(MOON_DISTILL__PROVIDERS="local")
        lines = [events.header("s1"), *(events.message(f"e{at}", text) for at in range(3))]
        lines += [events.message("big", f"{text} " * 100, "assistant")]
        gateway.store.put(KEY, "s1", lines, used=45_000)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            done = {"archived": gateway.run("archive", "--session", KEY) == 0}
            done["found"] = gateway.run("index", "--session", KEY) == 0 and is_found(gateway, text)
            done["pruned"] = gateway.run("prune", "--session", KEY) == 0
            gateway.later(3_600)
            gateway.run("distill", "--session", KEY)
            gateway.archive_and_index()
            done["rolled over"] = gateway.run("rollover", "--session", KEY) == 0 and gateway.resets() == 1
        return done


def is_found(gateway: Gateway, text: str) -> bool:
    """Does the guard's probe find the archive, and moon-recall the message by its own words?"""
    with open_reader(gateway.moon.home.text_index) as index:
        if not all(index.findable(line["sha256"]) for line in gateway.moon.ledger()):
            return False
    if not any(char.isalnum() for char in text):
        return True  # nobody asks for it in words
    document = json.loads(gateway.moon.ok("recall", text, "--json").stdout)
    return bool(document["results"]) and not document["degraded"] and "**" in document["results"][0]["snippet"]


def main() -> int:
    """Try every script; 0 when all of them come through."""
    counts = dict.fromkeys(STEPS, 0)
    tried = texts()
    for name, text in tried.items():
        with tempfile.TemporaryDirectory() as folder:
            reached = come_through(Path(folder), text)
        for step in STEPS:
            counts[step] += reached[step]
        missed = [step for step in STEPS if not reached[step]]
        if missed:
            print(f"{name}: not {', not '.join(missed)}")
    print(f"scripts: {len(tried)} tried, " + ", ".join(f"{count} {step}" for step, count in counts.items()))
    return 0 if set(counts.values()) == {len(tried)} else 1


if __name__ == "__main__":
    raise SystemExit(main())
