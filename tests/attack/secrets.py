"""Attack on redaction: secrets in every clothing, text made to be slow, and text in which nothing is secret.

`python tests/attack/secrets.py [--seed N] [--harmless FOLDER…]` prints, from the seed:
- 52 kinds of secrets × 8 clothings: how many are caught by Moon's own rules, and how many were counted twice;
- the worst seconds per MB over more than 91 anchors, each repeated to 1 MB;
- with folders: how much of the text in them was taken for a secret, each finding once.
It ends with 1 where a bound of the first two is missed.
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import random
import re
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "lib"), str(Path(__file__).resolve().parents[2])]

from tests.attack.secret_kinds import KINDS, Generator, Kind  # noqa: E402

from moon.redact import redact  # noqa: E402

Clothing = Callable[[Generator, str, str], str]
CAUGHT_AT_LEAST = 400
WORST_SECONDS = 1.0
WINDOW = 8

# --- clothings: (generator, text, secret) → the text as a tool or a log would show it ---------------------------------


def plain(r: Generator, text: str, secret: str) -> str:
    return f"it says\n{text}\nand so on"


def coloured(r: Generator, text: str, secret: str) -> str:
    code = r.choice(["\x1b[32m", "\x1b[1;31m", "\x1b[38;5;208m", "\x1b]8;;https://x.example\x07", "[32m"])
    return f"log {text.replace(secret, f'{code}{secret}' + chr(27) + '[0m')} end"


def json_string(r: Generator, text: str, secret: str) -> str:
    said = r.choice(["done\n", "a\tb\t", "line 1\r\n\t"]) + text + "\nnext\t"
    written = json.dumps(said).replace("=", "\\u003d")
    return json.dumps({"out": written}) if r.random() < 0.4 else f'{{"out": {written}}}'


def url(r: Generator, text: str, secret: str) -> str:
    encode = r.choice([urllib.parse.quote, urllib.parse.quote_plus])
    return f"GET /log?line={encode(text, safe='')}&x=1 200"


def web_page(r: Generator, text: str, secret: str) -> str:
    escaped = html.escape(text).replace("=", r.choice(["&#x3d;", "&#61;", "&equals;"]))
    return f"<td>{escaped}</td><td>{r.choice(['&nbsp;', 'x'])}</td>"


def wrapped(r: Generator, text: str, secret: str) -> str:
    if "\n" in secret:
        return "\n".join(f"> {line}" for line in text.split("\n"))
    cut = r.randint(max(4, len(secret) // 4), max(5, 3 * len(secret) // 4))
    broken = secret[:cut] + r.choice(["\n", "\n    ", "\n> ", "\r\n"]) + secret[cut:]
    return f"see: {text.replace(secret, broken)}"


def zero_width(r: Generator, text: str, secret: str) -> str:
    for _ in range(r.randint(1, 3)):
        place = r.randrange(1, len(secret))
        secret_now = secret[:place] + r.choice("\u200b\u200c\u200d\u2060\ufeff\u00ad") + secret[place:]
        text, secret = text.replace(secret, secret_now), secret_now
    return f"paste: {text} ok"


def base64_text(r: Generator, text: str, secret: str) -> str:
    encoded = base64.b64encode(f"{r.choice(['', '# ', 'x: 1' + chr(10)])}{text}\n".encode()).decode()
    width = r.choice([10_000, 76, 64])
    lines = "\n".join(encoded[begin : begin + width] for begin in range(0, len(encoded), width))
    return f"echo {lines} | base64 -d"


CLOTHINGS: dict[str, Clothing] = {
    "plain": plain,
    "ansi": coloured,
    "json": json_string,
    "url": url,
    "html": web_page,
    "wrapped": wrapped,
    "zero-width": zero_width,
    "base64": base64_text,
}

# --- what is left of a secret -----------------------------------------------------------------------------------------

_UNSEEN = re.compile("\x1b\\[[0-9;]*m|\x1b\\][^\x07]*\x07|[\\s>\\\\\u200b\u200c\u200d\u2060\ufeff\u00ad]")


def undressed(text: str) -> str:
    """Everything that this text shows, with escapes undone twice and encoded runs opened."""
    shown = text
    for _ in range(2):
        shown = html.unescape(urllib.parse.unquote(shown))
        shown = re.sub(r"\\u00([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), shown)
        shown = re.sub(r"\\+[nrt]", "\n", shown)
    wrapped_runs = re.findall(r"[A-Za-z0-9+/]{16,}(?:\n[A-Za-z0-9+/]{2,})*", shown)
    shown = _UNSEEN.sub("", shown)
    runs = [*(run.replace("\n", "") for run in wrapped_runs), *re.findall(r"[A-Za-z0-9+/]{16,}", shown)]
    opened = [base64.b64decode(run[: len(run) // 4 * 4]).decode("latin-1") for run in runs]
    return "\n".join([shown, *(_UNSEEN.sub("", each) for each in opened)])


def leaks(secret: str, text: str) -> bool:
    """Whether eight characters in a row of the secret are still to be read."""
    body = _UNSEEN.sub("", re.sub(r"-----[A-Z ]+-----", "", secret))
    shown = undressed(re.sub(r"\[redacted:[a-z0-9-]+\]", "", text))
    return any(body[begin : begin + WINDOW] in shown for begin in range(max(1, len(body) - WINDOW + 1)))


def attack(kinds: dict[str, Kind], seed: int) -> tuple[int, list[str], list[str]]:
    """How many cases there are, which leak, and which are counted more than once."""
    cases, leaked, twice = 0, [], []
    for name, kind in kinds.items():
        for clothing, dress in CLOTHINGS.items():
            r = random.Random(f"{seed}/{name}/{clothing}")
            text, secret = kind(r)
            result = redact(dress(r, text, secret))
            cases += 1
            if leaks(secret, result.text):
                leaked.append(f"{name} in {clothing}")
            elif result.total != 1:
                twice.append(f"{name} in {clothing} ({result.total})")
    return cases, leaked, twice


# --- text made to be slow ---------------------------------------------------------------------------------------------

ANCHORS = [
    *(
        "sk-",
        "sk-ant-",
        "sk_live_",
        "xoxb-",
        "xapp-1-",
        "ghp_",
        "github_pat_",
        "glpat-",
        "AKIA",
        "AIza",
        "ya29.",
        "eyJ",
    ),
    *(
        "npm_",
        "pypi-",
        "SG.",
        "hf_",
        "hvs.",
        "dop_v1_",
        "shpat_",
        "key-",
        "dapi",
        "lin_api_",
        "ATATT3",
        "dckr_pat_",
        "sq0atp-",
    ),
    *(
        "NRAK-",
        "PMAK-",
        "pul-",
        "dp.pt.",
        "fo1_",
        "pat-na1-",
        "CFPAT-",
        "cio",
        "oy2",
        "AKCp",
        "rzp_live_",
        "1234567890:AA",
    ),
    *(
        "PuTTY-User-Key-File-2:",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "-----END PRIVATE KEY-----",
        "AGE-SECRET-KEY-1",
    ),
    *(
        "cookie:",
        "Cookie: a=b; ",
        "bearer ",
        "basic ",
        "Authorization: ",
        "?token=",
        "&key=",
        "_auth=",
        "password=",
        "pwd=",
    ),
    *(
        "secret: ",
        "token:",
        'token:"',
        "token: 'a",
        'password: "',
        "api_key=",
        "private key: ",
        "--token ",
        "login a password ",
    ),
    *(
        "://a:",
        "://",
        "https://",
        "https://aaaaaaaaaaaaaaaaaaaa",
        "curl -u ",
        "curl ",
        "mysql -p",
        "sshpass -p ",
        "redis-cli ",
    ),
    *(
        "the password is ",
        "password ",
        "<password>",
        '"password", "',
        "accountkey=",
        "hooks.slack.com/services/",
        "$2b$10$",
    ),
    *(
        "\\",
        "\\\\",
        "\\n",
        "\\u003d",
        "\\x3d",
        "%3D",
        "%25",
        "&#x3d;",
        "&quot;",
        "=3D",
        "&",
        "%",
        "\x1b[",
        "\x1b]",
        "\x1b[32m",
    ),
    *(
        "\n",
        "\na1",
        "\n> a1",
        "a\n",
        "\u200b",
        "\u200ba",
        "\u0130",
        "a",
        "1",
        "=",
        "'",
        '"',
        "`",
        "/",
        "/a",
        "[redacted:secret]",
    ),
    *(
        "c2VjcmV0OnBhc3N3b3JkMTIz ",
        "cGFzc3dvcmQ9",
        "70 61 73 73 ",
        "7061737377",
        "MNO-_a.b1",
        "0123456789abcdef",
        "пароль ",
        "：=",
    ),
    *(
        "pwd=abcd1 ",
        "password=Geheim99\\n",
        "AKIA0123456789ABCDEF ",
        "secret: token: ",
        "eyJhbGciOi.",
        "MTAwMDAwMDAwMDAwMDAwMDAw.",
    ),
]


def slowest(size: int, anchors: list[str]) -> list[tuple[float, str]]:
    """Seconds of CPU per MB of each anchor repeated to that size, the slowest first."""
    redact("warm")
    taken = []
    for anchor in anchors:
        text = anchor * (size // len(anchor))
        begin = time.process_time()
        redact(text)
        taken.append(((time.process_time() - begin) * 1e6 / len(text), anchor))
    return sorted(taken, reverse=True)


# --- text in which nothing is secret ----------------------------------------------------------------------------------


def harmless(folders: list[Path]) -> tuple[int, list[tuple[Path, str]]]:
    """How many characters were read below these folders, and every finding there: (file, what was taken out)."""
    size, found = 0, []
    for path in (each for folder in folders for each in sorted(folder.rglob("*")) if each.is_file()):
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        size += len(text)
        found += [(path, said) for said in findings(text)]
    return size, found


def findings(text: str) -> Iterator[str]:
    """What was cut out of a text, with the words before it."""
    result = redact(text)
    pieces = re.split(r"\[redacted:([a-z0-9-]+)\]", result.text) if result.total else [text]
    position = 0
    for before, kind, after in zip(pieces[::2], pieces[1::2], pieces[2::2], strict=False):
        begin = text.find(before, position) + len(before)
        end = text.find(after[:60], begin + 1) if after[:60] else len(text)
        yield f"{kind}: {text[max(0, begin - 30) : begin]!r} >>{text[begin : min(end, begin + 90)]!r}<<"
        position = begin


def main() -> int:
    """Run all of it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--size", type=int, default=1_000_000, help="length of each slow text")
    parser.add_argument("--harmless", type=Path, nargs="*", default=[], help="folders without secrets")
    parser.add_argument("--kinds", help="a Python file with a dictionary KINDS, instead of the 52")
    chosen = parser.parse_args()
    kinds = _kinds_of(chosen.kinds) if chosen.kinds else KINDS
    print(f"seed {chosen.seed}")
    cases, leaked, twice = attack(kinds, chosen.seed)
    print(f"secrets: {cases - len(leaked)} of {cases} caught, {len(twice)} counted more than once")
    for each in [*leaked, *(f"not once: {each}" for each in twice)]:
        print(f"  {each}")
    times = slowest(chosen.size, ANCHORS)
    print(f"worst redaction seconds per MB: {times[0][0]:.2f} over {len(times)} anchors")
    for seconds, anchor in times[:5]:
        print(f"  {seconds:.2f} {anchor!r}")
    if chosen.harmless:
        size, found = harmless(chosen.harmless)
        print(f"taken for secrets: {len(found)} in {size / 1e6:.1f} MB ({len(found) / size * 1e6:.2f} per MB)")
        for path, said in found:
            print(f"  {path}: {said}")
    return int(cases - len(leaked) < min(cases, CAUGHT_AT_LEAST) or bool(twice) or times[0][0] >= WORST_SECONDS)


def _kinds_of(path: str) -> dict[str, Kind]:
    names: dict[str, dict[str, Kind]] = {}
    exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), names)
    return names["KINDS"]


if __name__ == "__main__":
    sys.exit(main())
