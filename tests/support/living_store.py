"""OpenClaw's stores as a day goes by: sessions are born, talk, rest, jump, and end in every way there is.

`said` is the model that everything is held against: each event that a store ever held, with the session it is of. It
is taken from the store itself, before anything leaves it and whenever asked, so that what a gateway added counts too.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from tests.support import events
from tests.support.stores import JsonlStoreBuilder, SqliteStoreBuilder, StoreBuilder, usage_entry

from moon.clock import format_ms

BUDGET = 48_000
WORDS = (
    "lantern",
    "register",
    "shelf",
    "Bergen",
    "harbour",
    "deploy",
    "port",
    "rota",
    "ledger",
    "tide",
    "chart",
    "anchor",
)
Session = tuple[str, str]
"""(agent, session id)"""


@dataclass
class Live:
    """A session that is listed. `until`: the tick until which it talks (or rests, where `talks` is false)."""

    agent: str
    key: str
    session_id: str
    talks: bool = True
    until: int = 0


class LivingStore:
    """One agent in a store of each generation. `now`: milliseconds; set by whoever owns the clock."""

    def __init__(self, state_dir: Path, dice: random.Random, now: int) -> None:
        self.stores: dict[str, StoreBuilder] = {
            "main": SqliteStoreBuilder(state_dir),
            "ops": JsonlStoreBuilder(state_dir, "ops"),
        }
        self.dice = dice
        self.now = now
        self.live: dict[str, Live] = {}
        self.said: dict[Session, dict[bytes, None]] = {}
        self.secrets: list[str] = []
        self.happened: Counter[str] = Counter()
        self._born = 0
        self._seen: dict[Session, Any] = {}

    # --- what sessions do

    def born(self, agent: str = "") -> Live:
        """A new session with its first words."""
        self._born += 1
        agent = agent or ("ops" if self.dice.random() < 0.25 else "main")
        session = Live(agent, f"agent:{agent}:chat-{self._born}", f"s{self._born}")
        self.live[session.key] = session
        self._open(session)
        self.happened["born"] += 1
        return session

    def _open(self, session: Live) -> None:
        lines = [events.header(session.session_id), self._message(session)]
        entry = self._usage(session, 900)
        self._store(session).put(session.key, session.session_id, lines, at=self.now, **entry)
        self.observe(session)

    def say(self, session: Live, turns: int = 1, tokens: int = 1_500) -> None:
        """So many turns; the window fills by so many tokens each."""
        roles = ("user", "assistant") * turns
        used = self.used(session) + turns * tokens
        self._append(session, [self._message(session, role) for role in roles], used)
        self.happened["turns"] += turns

    def jump(self, session: Live, ratio: float) -> None:
        """One turn, behind which the window is that full."""
        self._append(session, [self._message(session)], int(ratio * BUDGET))
        self.happened["jumps"] += 1

    def compact(self, session: Live) -> None:
        """OpenClaw compacts by itself."""
        line = events.compaction(self._name(session), "## Decisions\nnone")
        self._append(session, [line], self.used(session) * 2 // 3)
        self.happened["compacted"] += 1

    def reset(self, session: Live) -> None:
        """Somebody types `/new`: the newer store keeps the id, the older one sets the file aside."""
        self.observe(session)
        if session.agent == "main":
            self._append(session, [events.reset(self._name(session))], 0)
        else:
            self._store(session).delete(session.key, session.session_id, "reset")
            session.session_id = self._next_id(session)
            self._open(session)
        self.happened["reset"] += 1

    def other_id(self, session: Live) -> None:
        """The daily or idle reset: the same key, another session."""
        self.observe(session)
        session.session_id = self._next_id(session)
        self._open(session)
        self.happened["other id"] += 1

    def delete(self, session: Live) -> None:
        """The session goes; OpenClaw keeps a copy of its transcript."""
        self.observe(session)
        self._store(session).delete(session.key, session.session_id)
        self._gone(session, "deleted")

    def put_away(self, session: Live) -> None:
        """Archived in OpenClaw: no longer listed."""
        self.observe(session)
        self._store(session).put_away(session.key)
        self._gone(session, "put away")

    def go_cold(self, session: Live) -> None:
        """Into cold storage; only the newer store has one."""
        store = self._store(session)
        if not isinstance(store, SqliteStoreBuilder):
            return self.put_away(session)
        self.observe(session)
        store.go_cold(session.session_id, self.dice.choice(("file", "sqlite")))
        store.remove_entry(session.key)
        return self._gone(session, "cold")

    def shorten(self, session: Live, archived: Counter[bytes]) -> None:
        """`sessions compact --max-lines`: the first rows go for good; here only ones that Moon has."""
        lines = self.stored(session.agent, session.session_id)
        if len(lines) > 8 and all(each in archived for each in lines):
            self._store(session).write(session.session_id, lines[-4:], at=self.now)
            self.happened["shortened"] += 1

    # --- what the stores hold

    def stored(self, agent: str, session_id: str) -> list[bytes]:
        """The events of a live transcript."""
        store = self.stores[agent]
        if isinstance(store, JsonlStoreBuilder):
            path = store.path(session_id)
            return path.read_bytes().splitlines() if path.exists() else []
        sql = "SELECT event_json, event_zstd FROM transcript_events WHERE session_id = ? ORDER BY seq"
        with closing(store.connect()) as connection:
            rows = connection.execute(sql, (session_id,)).fetchall()
        return [text.encode() if text is not None else zstandard.decompress(packed) for text, packed in rows]

    def anywhere(self, agent: str, session_id: str) -> set[bytes]:
        """The events of a session in whatever form its store keeps them."""
        store = self.stores[agent]
        if isinstance(store, JsonlStoreBuilder):
            return {
                line for path in store.folder.glob(f"{session_id}.jsonl*") for line in path.read_bytes().splitlines()
            }
        found = set(self.stored(agent, session_id))
        with closing(store.connect()) as connection:
            for (blob,) in connection.execute(
                "SELECT archive_blob FROM session_transcript_archives WHERE session_id = ?", (session_id,)
            ):
                found.update(zstandard.decompress(blob).splitlines())
            for blob, name in connection.execute(
                "SELECT archive_blob, archive_name FROM session_transcript_cold_archives WHERE session_id = ?",
                (session_id,),
            ):
                packed = blob or (store.main_file.parent.parent / "sessions" / "cold" / name).read_bytes()
                rows = map(json.loads, zstandard.ZstdDecompressor().decompressobj().decompress(packed).splitlines())
                found.update(row["row"]["event_json"].encode() for row in rows if row["kind"] == "event")
        return found

    def observe(self, session: Live) -> None:
        """Note what a transcript holds now."""
        own = self.said.setdefault((session.agent, session.session_id), {})
        own.update(dict.fromkeys(self.stored(session.agent, session.session_id)))

    def observe_all(self) -> None:
        """Note what every live transcript holds."""
        for session in list(self.live.values()):
            self.observe(session)

    def used(self, session: Live) -> int:
        """How full the window is by the store."""
        return int(self._entry(session).get("totalTokens", 0))

    def forget(self, archived: Counter[bytes]) -> None:
        """OpenClaw's own tidying: what it keeps of ended sessions goes; here once Moon has all of it."""
        live = {(each.agent, each.session_id) for each in self.live.values()}
        for (agent, session_id), lines in self.said.items():
            if (agent, session_id) not in live and all(each in archived for each in lines):
                self._forget(self.stores[agent], session_id)

    @staticmethod
    def _forget(store: StoreBuilder, session_id: str) -> None:
        if isinstance(store, JsonlStoreBuilder):
            for path in store.folder.glob(f"{session_id}.jsonl*"):
                path.unlink()
            kept = {key: entry for key, entry in store.entries().items() if entry["sessionId"] != session_id}
            store.main_file.write_text(json.dumps(kept))
            return
        with closing(store.connect()) as connection, connection:
            for table in (
                "transcript_events", "session_windows", "transcript_rewrite_watermarks", "session_transcript_archives",
                "session_transcript_cold_archives",
            ):  # fmt: skip
                connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (session_id,))
            connection.execute(
                "DELETE FROM session_nodes WHERE current_session_id = ? AND archived_at IS NOT NULL", (session_id,)
            )

    # --- the pieces

    def _store(self, session: Live) -> StoreBuilder:
        return self.stores[session.agent]

    def _gone(self, session: Live, how: str) -> None:
        del self.live[session.key]
        self.happened[how] += 1

    def _next_id(self, session: Live) -> str:
        self._born += 1
        return f"{session.session_id.partition('-')[0]}-{self._born}"

    def _name(self, session: Live) -> str:
        return f"{session.session_id}-{self.dice.getrandbits(64):x}"

    def _entry(self, session: Live) -> dict[str, Any]:
        store = self._store(session)
        if isinstance(store, JsonlStoreBuilder):
            return dict(store.entries().get(session.key, {}))
        sql = "SELECT entry_json FROM session_nodes WHERE session_key = ?"
        with closing(store.connect()) as connection:
            row = connection.execute(sql, (session.key,)).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def _usage(self, session: Live, used: int) -> dict[str, Any]:
        # OpenClaw never lets a window overflow.
        return {"used": min(used, int(0.97 * BUDGET)), "updated_at": self.now, "interacted_at": self.now}

    def _append(self, session: Live, lines: list[bytes], used: int) -> None:
        store = self._store(session)
        store.append(session.session_id, *lines, at=self.now)
        store.put_entry(session.key, usage_entry(session.session_id, **self._usage(session, used)))
        self.observe(session)

    def _message(self, session: Live, role: str = "user") -> bytes:
        """A message like no other; now and then a long one, and one with a secret in it."""
        text = " ".join(self.dice.choices(WORDS, k=self.dice.choice((5, 12, 30))))
        if self.dice.random() < 0.04:
            text += " " + " ".join(f"{word}{self.dice.getrandbits(16)}" for word in self.dice.choices(WORDS, k=300))
        if self.dice.random() < 0.02:
            secret = (
                "gh" + "p_" + "".join(self.dice.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP0123456789", k=36))
            )
            self.secrets.append(secret)
            text += f" the token is {secret} and stays private"
        return events.message(self._name(session), text, role, when=format_ms(self.now))
