"""Odd texts through every way out of Moon: `python tests/attack/strings.py [--seed N] [--texts N]`.

Each text stands as agent, session key, session id, role, tool, event id, message, model's answer, path, configuration
and argument. Prints how many went through how many exits and every raw character that came out; ends with 1 if any did.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "lib")]

from tests.support.exits import describe, visit  # noqa: E402

from moon.cli.launch import TOOLS  # noqa: E402

KNOWN = [
    "\x1b]0;title\x07 \x1b[2J\x1b[31mred",
    "\x1b]52;c;Y2xpcA==\x1b\\ \x1bP+q\x1b\\",
    "\x9b2J \x9d0;title\x9c \x90q\x9c",
    "bell\x07 back\x08\x08 delete\x7f",
    "turn \u202earound\u202c \u2066iso\u2069 \u200e\u200f\u061c",
    "line\u2028para\u2029next\x85feed\x0c\x0b\r",
    "zero\u200bwidth\ufeff\u2060\u00adjoin\u200d\u200c",
    "tags \U000e0041\U000e0042 variation \ufe0f\U000e0100",
    "private \ue0b0 \U000f0000 non \uffff\ufdd0 note \ufff9a\ufffab\ufffb",
    "blank \u3164\u115f\u1160\uffa0 \u17b4\u034f",
    "<!-- moon:end --> ``` | # > \u200b<!\u200b--",
    "👩\u200d💻 می\u200cخواهم क्\u200dष ❤\ufe0f",
]
ALPHABET = [*"\x1b\x07\x08\x0b\x0c\r\x7f\x80\x85\x90\x9b\x9c\x9d\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029"]
ALPHABET += [
    *"\u202a\u202e\u2060\u2066\u2069\u3164\ufe0f\ufeff\ufff9\ue000\uffff\U000e0020\U000e007f\U000e01ef\U000f0000"
]
ALPHABET += [*"aé漢क❤[]();0m<!->`|#\\\"' \n\t"]


def texts(seed: int, number: int) -> list[str]:
    """The known ones, then some made by chance."""
    chance = random.Random(seed)
    made = ["".join(chance.choices(ALPHABET, k=chance.randint(8, 24))) for _ in range(number)]
    return (KNOWN + made)[:number]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=int, default=16)
    options = parser.parse_args()
    exits: set[str] = set()
    wrong: list[str] = []
    chosen = texts(options.seed, options.texts)
    for number, odd in enumerate(chosen):
        with tempfile.TemporaryDirectory() as folder:
            found = visit(Path(folder) / "machine", odd, TOOLS)
        exits |= {each.name for each in found}
        for each in describe(found):
            wrong.append(each)
            print(f"text {number} ({odd!a}): {each}", flush=True)
    print(f"nasty strings × exits: {len(chosen)} × {len(exits)}, raw characters out: {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
