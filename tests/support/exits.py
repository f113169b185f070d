"""One odd text as every name and every word there is, through every way out of Moon; what came out, in pieces.

Used by tests/contract/test_exits.py with one text, and by tests/attack/strings.py with many.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.loopback_providers import Providers, providers
from tests.support import events
from tests.support.moon import PATIENCE, ROOT, Moon
from tests.support.stores import JsonlStoreBuilder, SqliteStoreBuilder

# Joiners are judged by their place (tests/unit/test_text.py); everything else here may stand nowhere.
_VISIBLE = frozenset("\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\u200c\u200d\u180e") | set(
    map(chr, range(0x600, 0x606))
)
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
# What Moon itself sends to a terminal: colours of recall, and the line of progress that the next one replaces.
_OWN = re.compile(r"\x1b\[(?:1|2|33|36|0)m|\r\x1b\[K|\r\n")


class Exit(NamedTuple):
    """A way out, and what went out there."""

    name: str
    text: str


def raw_characters(text: str) -> list[str]:
    """The characters of a text that may not go out, told from Unicode's own data."""
    return [char for char in text if char not in "\n\t" and _is_forbidden(char)]


def _is_forbidden(char: str) -> bool:
    code = ord(char)
    kinds = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return (unicodedata.category(char) in kinds and char not in _VISIBLE) or noncharacter or char in _BLANK


class World:
    """A Moon whose OpenClaw has this text as agent, session key, session id, role, tool, event id and message."""

    def __init__(self, folder: Path, odd: str, server: Providers) -> None:
        self.odd = odd
        self.name = odd.replace("/", "").replace("\x00", "") or "plain"  # as a file or an argument can be named
        self.key = f"agent:main:{odd}"
        self.server = server
        models = {
            "MOON_DISTILL__PROVIDERS": "openai",
            "OPENAI_API_KEY": "k" * 20,
            "OPENAI_BASE_URL": f"{server.url}/v1",
        }
        extra = {
            **models,
            "MOON_DISTILL__OPENAI__MODELS": "m",
            "FAKE_OPENCLAW": str(folder / "fake.json"),
            "TERM": "dumb",
            "MOON_PAGER": "cat",
        }
        self.moon = Moon(folder, extra)
        folder.mkdir(parents=True, exist_ok=True)
        self.seen: list[Exit] = []
        lines = self._lines("s1")
        SqliteStoreBuilder(self.moon.state_dir).put(self.key, "s1", lines, used=45_000)
        SqliteStoreBuilder(self.moon.state_dir, "other").put(f"agent:other:{odd}", odd, self._lines("o"), used=39_000)
        with contextlib.suppress(OSError):
            JsonlStoreBuilder(self.moon.state_dir, self.name).put(
                f"agent:{self.name}:x", "s3", self._lines("n"), used=39_000
            )

    def _lines(self, prefix: str) -> list[bytes]:
        odd = self.odd
        words = f"We never deploy {odd} the lantern on port 5433 {odd} on Fridays"
        return [
            events.header(prefix),
            events.message(f"{prefix}-1{odd}", f"{words}. " + "The lantern register is kept in Bergen. " * 40),
            events.message(f"{prefix}-2", words, f"role{odd}"),
            events.tool_call(f"{prefix}-3", f"exec{odd}", {"command": f"lantern --port 5433 {odd}", odd: odd}),
            events.tool_result(f"{prefix}-4", f"exec{odd}", f"lantern {odd}\n{odd}done"),
            events.message(f"{prefix}-5", f"Decision: the lantern stays in Bergen. {odd}", "assistant"),
        ]

    def run(self, tool: str, *arguments: str, where: str = "pipe", **extra: str) -> int:
        """Run an executable and keep what it printed, into pipes or to a terminal."""
        env = {**self.moon.env, **extra}
        given = [str(ROOT / "bin" / f"moon-{tool}"), *(each.replace("\x00", "") for each in arguments)]
        name = f"moon-{tool} {' '.join(each for each in arguments if each.startswith('-'))} ({where})"
        if where == "terminal":
            code, both = _on_a_terminal(given, env)
            self.seen.append(Exit(name, _OWN.sub("\n", both.decode("utf-8", "surrogateescape"))))
            return code
        done = subprocess.run(
            given, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
        for stream, data in (("stdout", done.stdout), ("stderr", done.stderr)):
            self.seen.append(Exit(f"{name} {stream}", data.decode("utf-8", "surrogateescape")))
        return done.returncode

    def files(self) -> Iterator[Exit]:
        """Every file of MOON_HOME that people or programs read: all but segments, which are exact, and databases."""
        for path in sorted(self.moon.home.root.rglob("*")):
            inner = path.relative_to(self.moon.home.root)
            yield Exit(f"name of {inner.parts[0]}", str(inner))
            if path.is_file() and path.suffix in (".md", ".json", ".jsonl", ".log", "") and "raw" not in inner.parts:
                yield Exit(f"file {_kind(inner)}", path.read_bytes().decode("utf-8", "surrogateescape"))

    def sent(self) -> Iterator[Exit]:
        """What models were asked, and what went to the gateway as text for a session."""
        for _, _, body in self.server.requests:
            for each in json.loads(body)["messages"]:
                yield Exit("prompt to a model", each["content"])
        log = self.moon.folder / "fake.json.log"
        for line in log.read_text().splitlines() if log.exists() else []:
            asked = json.loads(line)
            given = json.loads(asked[asked.index("--params") + 1]) if "--params" in asked else {}
            yield from (Exit("message to a session", given[name]) for name in ("message", "text") if name in given)


def _kind(inner: Path) -> str:
    """A file by what it is, not by which: without hashes, dates, and the agent whose pages lie in a folder."""
    if len(inner.parts) == 1:
        return str(inner)
    folder = inner.parent.parent if inner.suffix == ".md" and len(inner.parts) > 3 else inner.parent
    return re.sub(r"[0-9a-f]{8,}|\d{4}-\d\d-\d\d\S*", "…", str(folder / inner.suffix))


def _on_a_terminal(given: list[str], env: dict[str, str]) -> tuple[int, bytes]:
    """(exit code, everything written to the terminal behind standard output and standard error)."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(given, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    pieces: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(ours, pieces))
    reader.start()
    try:
        code = child.wait(PATIENCE)
    finally:
        child.kill()
        reader.join(PATIENCE)
        os.close(ours)
    return code, b"".join(pieces)


def _read_all(descriptor: int, pieces: list[bytes]) -> None:
    with contextlib.suppress(OSError):  # how Linux says that the other side is closed
        while data := os.read(descriptor, 1 << 16):
            pieces.append(data)


# What to run of each executable: (arguments, "terminal" or "pipe"); ODD stands for the text, KEY for the session.
ODD, KEY = "\x00odd", "\x00key"
RUNS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "sample": ((("--no-exec",), "pipe"), (("--no-exec",), "terminal")),
    "archive": (
        (("--all", "--json"), "pipe"),
        (("--all",), "terminal"),
        (("--session", ODD), "pipe"),
        (("--cycle", ODD, "--json"), "pipe"),
        (("--verify",), "terminal"),
        (("--restore", KEY, "--to", "-"), "terminal"),
    ),
    "index": ((("--all",), "terminal"), (("--archive", ODD, "--json"), "pipe"), (("--rebuild", "--json"), "pipe")),
    "distill": ((("--all",), "terminal"), (("--all",), "pipe"), (("--archive", ODD), "pipe")),
    "prune": ((("--all", "--dry-run"), "terminal"), (("--session", KEY), "pipe")),
    "rollover": ((("--session", KEY), "terminal"), (("--session", ODD), "pipe")),
    "recall": (
        (("lantern", "--context", "2"), "terminal"),
        (("lantern", "--context", "2"), "pipe"),
        (("lantern", "--format", "md", "--context", "1"), "pipe"),
        ((ODD, "--session", ODD, "--role", ODD), "terminal"),
        (("--event", "s1-2"), "terminal"),
        (("--event", "s1-2"), "pipe"),
        (("--event", "s1-2", "--raw"), "terminal"),
        (("--event", "s1-2", "--context", "3"), "terminal"),
        (("--event", "s1-2", "--context", "3"), "pipe"),
        (("--event", "s1-2", "--context", "3", "--format", "md"), "pipe"),
        (("--session", KEY), "terminal"),
        (("--session", KEY), "pipe"),
        (("--session", KEY, "--format", "md"), "pipe"),
        (("--session", KEY, "--format", "html"), "pipe"),
        (("--event", ODD), "pipe"),
        (("--bench", "--format", "text"), "pipe"),
        (("lantern", "--inject", KEY), "pipe"),
        (("lantern", "--since", ODD, "--json"), "pipe"),
    ),
    "status": (((), "terminal"), (("--json",), "pipe"), (("--plot",), "terminal"), (("--plot", ODD), "pipe")),
    "verify": (((), "terminal"), (("--json",), "pipe")),
    "watch": ((("--once",), "pipe"), ((ODD,), "pipe")),
    # Never a real installation: that would ask the service manager of whoever runs the tests.
    "install": ((("--dry-run",), "pipe"), (("--dry-run", "--prefix", ODD), "terminal"), ((ODD,), "pipe")),
    "mirror": (
        ((), "terminal"),
        (("--verify",), "pipe"),
        (("--list", "--json"), "pipe"),
        (("--init", ODD), "terminal"),
        (("--restore", ODD, "--from", ODD), "pipe"),
    ),
    "snapshot": (((), "terminal"), (("--session", ODD), "pipe")),
    "post-upgrade": (((), "terminal"), (("--json",), "pipe")),
    "forget": (
        ((KEY, "--dry-run"), "terminal"),
        ((KEY, "--dry-run", "--json"), "pipe"),
        (("--match", "lantern", "--dry-run"), "pipe"),
        ((ODD,), "terminal"),
    ),
}


def visit(folder: Path, odd: str, tools: tuple[str, ...]) -> list[Exit]:
    """Everything that goes out when this text is everywhere; `tools` in the order in which they are run."""
    with providers(["ok"]) as server:
        world = World(folder, odd, server)
        item = [{"text": f"{odd} lantern port 5433 {odd}", "events": ["e1"]}]
        server.answers = [json.dumps({"decisions": item, "summary": item, "identifiers": item, odd: item})] * 20
        for tool in tools:
            for arguments, where in RUNS[tool]:
                given = [{ODD: odd.replace("\x00", ""), KEY: world.key}.get(each, each) for each in arguments]
                world.run(tool, *given, where=where)
        _wrong_configuration(world, tools)
        return [*world.seen, *world.files(), *world.sent()]


def _wrong_configuration(world: World, tools: tuple[str, ...]) -> None:
    """The same text in a configuration, its path and a variable: each executable has to say what is wrong with it."""
    file = world.moon.folder / "moon.yaml"
    file.write_text(json.dumps({"thresholds": {f"archive{world.odd}": world.odd}, "timezone": world.odd}))
    for tool in tools:
        arguments = {"recall": ["x"], "watch": ["--once"]}.get(tool, [])
        world.run(tool, *arguments, MOON_CONFIG=str(file))
    world.run("status", MOON_CONFIG=str(world.moon.folder / world.name))
    world.run("verify", MOON_HOME=str(world.moon.folder / world.name), where="terminal")
    world.run("sample", OPENCLAW_STATE_DIR=str(world.moon.folder / world.name))
    world.run("sample", MOON_TIMEZONE=world.name)


def describe(found: list[Exit]) -> list[str]:
    """Each exit that let something through, with the first of it."""
    wrong: dict[str, Any] = {}
    for each in found:
        raw = raw_characters(each.text)
        if raw and each.name not in wrong:
            place = each.text.index(raw[0])
            wrong[each.name] = (
                f"{each.name}: {sorted(set(map(ascii, raw)))} in {each.text[max(0, place - 40) : place + 20]!a}"
            )
    return list(wrong.values())
