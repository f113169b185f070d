"""A machine on which one tick does all that Moon ever does, and the promises that must hold however it is cut short."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.support import events
from tests.support.moon import ROOT, Moon, Result, archived_events
from tests.support.stores import NOW_MS, SqliteStoreBuilder

from moon import schema
from moon.clock import format_ms
from moon.errors import MoonError
from moon.fulltext import open_reader
from moon.openclaw.events import event_id
from moon.vault.ledger import Ledger
from moon.vault.verify import verify

FULL, FULLER, GONE, LATER = (f"agent:main:{name}" for name in ("main", "desk", "gone", "later"))
"""To be rolled over, to be pruned, deleted a moment ago, deleted after all that."""
SETTINGS = {"MOON_DISTILL__PROVIDERS": "local", "MOON_ARCHIVE__IDLE_SECONDS": "60"}
TICKS_TO_REST = 3
TEMPORARY = (".tmp", "-journal", ".invalid")


class Machine:
    """A Moon beside a stand-in OpenClaw. `port`: where its gateway listens; 0 leaves only the command."""

    def __init__(self, folder: Path, port: int, token: str) -> None:
        self.moon = Moon(folder, {**SETTINGS, "FAKE_OPENCLAW": str(folder / "fake.json")})
        self.folder = folder
        if port:
            auth = {"mode": "token", "token": token}
            document = {"gateway": {"mode": "local", "port": port, "auth": auth}}
            self.moon.state_dir.mkdir(parents=True, exist_ok=True)
            (self.moon.state_dir / "openclaw.json").write_text(json.dumps(document))

    @property
    def database(self) -> Path:
        """The stand-in's store."""
        return SqliteStoreBuilder(self.moon.state_dir).main_file

    def begin(self) -> None:
        """Let Moon live here for a while: it knows the beginning of each session."""
        store = SqliteStoreBuilder(self.moon.state_dir)
        store.put(FULL, "s1", events.conversation("s1", 4), used=9_000)
        store.put(FULLER, "s2", events.conversation("s2", 3), used=9_000)
        assert self.tick(-3_600).code == 0

    def fill(self) -> None:
        """Two sessions that are full and one that is gone."""
        store = SqliteStoreBuilder(self.moon.state_dir)
        big = events.message("big", "the lighthouse ledger holds 4711 entries " * 40)
        rule = events.message("rule", "We decided: always use UTC.")
        store.put(FULL, "s1", [*events.conversation("s1", 8), big], used=45_000)
        store.put(FULLER, "s2", [*events.conversation("s2", 6), rule], used=41_500)
        store.put(GONE, "s3", events.conversation("s3", 3), used=900)
        store.delete(GONE, "s3")

    def held_by_store(self) -> dict[str, list[bytes]]:
        """The events of each session."""
        return {"s1": self.stored("s1"), "s2": self.stored("s2"), "s3": events.conversation("s3", 3)}

    def environment(self, seconds: int) -> dict[str, str]:
        """What a tick so many seconds after the usual now sees."""
        return {**self.moon.env, "MOON_NOW": format_ms(NOW_MS + seconds * 1000)}

    def tick(self, seconds: int) -> Result:
        """One tick of the timer with all that it starts."""
        return self.moon.run("sample", env=self.environment(seconds))

    def rest(self, *, power_lost: bool = False) -> Iterator[str]:
        """Tick until nothing is under way any more; gives what was said that should not be.

        Where the power was lost, something new happens before the last tick: what is derived (the index, the catalog)
        is not synced at every step, and may have to wait for the next cycle.
        """
        for number in range(1, TICKS_TO_REST + 1):
            if power_lost and number == TICKS_TO_REST:
                store = SqliteStoreBuilder(self.moon.state_dir)
                store.put(LATER, "s4", events.conversation("s4", 2), used=900)
                store.delete(LATER, "s4")
            done = self.tick(600 * number)
            # A tick may refuse what the one behind it then does.
            if "Traceback" in done.stderr or (done.code and number == TICKS_TO_REST):
                yield f"tick {number} ended with {done.code}: {done.stderr[-300:]}"

    def stored(self, session_id: str) -> list[bytes]:
        """The events that the store holds."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            rows = connection.execute(
                "SELECT event_json FROM transcript_events WHERE session_id = ? AND event_json IS NOT NULL ORDER BY seq",
                (session_id,),
            ).fetchall()
        return [text.encode() for (text,) in rows]

    def broken_promises(self, before: dict[str, list[bytes]], *, power_lost: bool = False) -> Iterator[str]:
        """What does not hold. `before`: the events of each session when the tick began.

        A line of the audit log is not waited for; where the power was lost, it may be gone or be there in part.
        """
        yield from self._events(before)
        yield from self._archive()
        yield from self._windows()
        yield from self._state()
        yield from self._audit(power_lost)
        yield from self._leftovers()

    def _events(self, before: dict[str, list[bytes]]) -> Iterator[str]:
        for session_id, lines in before.items():
            held = Counter(archived_events(self.moon.home, session_id))
            there = {*held, *self.stored(session_id)}
            yield from (f"lost: {event_id(each)}" for each in lines if each not in there)
            yield from (f"not archived: {event_id(each)}" for each in lines if each not in held)
            yield from (f"doubled: {event_id(each)}" for each, count in held.items() if count > 1)

    def _archive(self) -> Iterator[str]:
        found = verify(self.moon.home)
        yield from (f"verify: {each.message}" for each in found.errors)
        yield from (f"verify: {note}" for note in found.notes)
        ledger = Counter(Ledger(self.moon.home.ledger).raw_lines())
        yield from ("a ledger line twice" for count in ledger.values() if count > 1)

    def _windows(self) -> Iterator[str]:
        transcript = [json.loads(each) for each in self.stored("s1")]
        resets = sum(each["type"] == "reset" for each in transcript)
        maps = [each for each in transcript if str(_message_key(each)).startswith("moon-")]
        links = [each for each in Ledger(self.moon.home.ledger).links() if each["session_key"] == FULL]
        if (resets, len(maps), len(links)) != (1, 1, 1):
            yield f"{resets} resets, {len(maps)} maps, {len(links)} links"
        elif _message_key(maps[0]) != f"moon-{links[0]['rollover_id']}:user":
            yield "the link names another map than the one that arrived"
        yield from (f"a journal is left: {path.name}" for path in self.moon.home.rollovers.glob("*.json"))
        compactions = sum(json.loads(each)["type"] == "compaction" for each in self.stored("s2"))
        if compactions != 1:
            yield f"{compactions} compactions"

    def _state(self) -> Iterator[str]:
        home = self.moon.home
        try:
            schema.check("state", json.loads(home.state_file.read_bytes()))
        except Exception as error:  # whatever it is, it is said
            yield f"the state: {error!r}"
        for document in self.moon.cycles():
            if document["finished_at"] is None:
                yield f"cycle {document['cycle_id']} is not finished"
        try:
            with open_reader(home.text_index) as index:
                hashes = [record["sha256"] for record in Ledger(home.ledger).archives()]
                yield from (f"not found by a search: {each}" for each in hashes if not index.findable(each))
        except MoonError as error:
            yield f"the index: {error.message}"

    def _audit(self, power_lost: bool) -> Iterator[str]:
        done: Counter[str] = Counter()
        for number, line in enumerate(self.moon.home.audit_log.read_bytes().splitlines(), 1):
            try:
                entry = json.loads(line)
            except ValueError:
                if not power_lost:
                    yield f"torn: line {number} of the audit log"
                continue
            if entry["outcome"] == "done":
                done[json.dumps({name: value for name, value in entry.items() if name != "duration_ms"})] += 1
        yield from (f"an audit line twice: {line}" for line, count in done.items() if count > 1)

    def _leftovers(self) -> Iterator[str]:
        for path in self.moon.home.root.rglob("*"):
            if path.is_file() and path.name.endswith(TEMPORARY):
                yield f"left over: {self.moon.home.relative(path)}"
        for path in self.moon.home.memory.glob("*.md"):
            blocks = Counter(line for line in path.read_text().splitlines() if line.startswith("<!-- moon:begin"))
            yield from (f"a block twice in {path.name}" for count in blocks.values() if count > 1)


def _message_key(event: dict[str, object]) -> object:
    message = event.get("message")
    return message.get("idempotencyKey") if isinstance(message, dict) else None


def program(tool: str) -> str:
    """The path of an executable."""
    return os.fspath(ROOT / "bin" / f"moon-{tool}")
