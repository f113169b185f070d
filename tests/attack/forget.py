"""Kill moon-forget at every step of its writing, let the next run finish it, and look for the words in every byte.

    python tests/attack/forget.py                all steps, of three ways to forget
    python tests/attack/forget.py --every 7      each seventh

Each death comes in a process of its own, before or behind a call that changes the disk, or in the middle of a write.
Then the timer's `--resume` (or, where nothing was noted yet, the same command again) runs, and: the words are nowhere
below MOON_HOME, the archive is sound, the other conversation is whole, and nothing comes back from OpenClaw's store.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0:1] = [str(ROOT), str(ROOT / "lib")]

from tests.support.crash import killed_at  # noqa: E402
from tests.support.forgetting import LATER, PLAN, SECRET, lived_in, places_of  # noqa: E402
from tests.support.moon import Moon, archived_events  # noqa: E402

WAYS: dict[str, list[str]] = {
    "a conversation": [PLAN],
    "a text": ["--match", SECRET],
    "a time": ["--before", "2026-11-29", "--agent", "main", PLAN],
}


def broken(moon: Moon, arguments: list[str], kept: list[bytes]) -> Iterator[str]:
    """What does not hold after the next run."""
    from moon.cli.archive import main as archive
    from moon.cli.forget import main as forget
    from moon.vault.verify import verify

    noted = (moon.home.state / "forget.json").exists()
    code = forget(["--resume"] if noted else [*arguments, "--yes"])
    if code:
        yield f"the next run ended with {code}"
    if (moon.home.state / "forget.json").exists():
        yield "the note is left"
    yield from (f"still in {place}" for place in places_of(SECRET, moon.home.root))
    yield from (f"verify: {each.message}" for each in verify(moon.home).errors)
    if list(archived_events(moon.home, "q1")) != kept:
        yield "the other conversation changed"
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        archive(["--all"])
    yield from (f"back in {place}" for place in places_of(SECRET, moon.home.root))
    yield from (str(path) for path in moon.home.root.rglob("*.tmp"))


def attempt(moon: Moon, arguments: list[str], step: int) -> tuple[bool, list[str]]:
    """(did it die at that step, what is broken then)."""
    from moon.cli.forget import main as forget

    os.environ.update(moon.env, **LATER)
    kept = list(archived_events(moon.home, "q1"))
    died = killed_at(step, lambda: forget([*arguments, "--yes"]))
    return died, list(broken(moon, arguments, kept)) if died else []


def main() -> int:
    """Go through the steps; exit code 0 when every promise held after every death."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="one step in so many")
    parser.add_argument("--way", choices=WAYS, action="append", help="only this; repeatable")
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="moon-forget-") as folder:
        lived = lived_in(Path(folder) / "lived")
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
        for way in options.way or WAYS:
            step, deaths = 0, 0
            while True:
                moon = lived.copy(Path(folder) / f"{len(way)}-{step}")
                died, found = attempt(moon, WAYS[way], step)
                if not died:
                    break
                deaths += 1
                wrong += bool(found)
                if found:
                    print(f"{way}, step {step}:", *found[:5], sep="\n    ", flush=True)
                shutil.rmtree(moon.folder)
                step += options.every
            print(f"{way}: died {deaths} times", flush=True)
    print(f"deaths with a broken promise: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
