"""The whole pipeline as a state machine: whatever happens to sessions, ticks and archives, in whatever order.

Hypothesis draws the order, and shortens one that breaks a promise to its core. The model is `LivingStore.said`: every
event that a store ever held. After each step all of it is in a store or in the archive; at the end all of it is in the
archive, once, and every promise of `make soak` is counted.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.attack.soak import GATEWAY, OTHER, Soak
from tests.attack.spawner import Spawner
from tests.fakes.gateway_server import GatewayServer
from tests.loopback_providers import providers
from tests.support.living_store import Live
from tests.support.moon import archived_events
from tests.support.properties import examples

from moon.clock import format_ms
from moon.openclaw.events import event_id
from moon.vault.catalog import open_catalog
from moon.vault.restore import restore
from moon.vault.verify import verify

STEPS = 12
NUMBERS = st.integers(0, 1 << 16)
WAYS = ("delete", "put_away", "go_cold", "reset", "other_id")
DEATHS = ("kill -9", "disk full", "I/O error")
DAMAGES = ("changed", "short", "gone")


class WholeLife(RuleBasedStateMachine):
    """Each rule is one thing that OpenClaw, the timer, a person or a disk may do next."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("MOON_NOW", "OPENCLAW_STATE_DIR", "FAKE_OPENCLAW"):
            patch.setenv(name, "")
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="moon-life-")))
        server, model = self.stack.enter_context(GatewayServer()), self.stack.enter_context(providers(["ok"]))
        spawner = self.stack.enter_context(Spawner(folder))
        self.soak = Soak(folder, 1, server, model, spawner)
        self.store = self.soak.store
        self.number = 0
        self.store.born("main")

    def _session(self, number: int) -> Live:
        live = list(self.store.live.values()) or [self.store.born()]
        return live[number % len(live)]

    # --- OpenClaw and its users

    @rule(agent=st.sampled_from(("main", "ops")))
    def born(self, agent: str) -> None:
        if len(self.store.live) < 4:
            self.store.born(agent)

    @rule(number=NUMBERS, turns=st.integers(1, 3))
    def say(self, number: int, turns: int) -> None:
        self.store.say(self._session(number), turns)

    @rule(number=NUMBERS, ratio=st.sampled_from((0.82, 0.87, 0.93, 0.96)))
    def jump(self, number: int, ratio: float) -> None:
        self.store.jump(self._session(number), ratio)

    @rule(number=NUMBERS)
    def compact(self, number: int) -> None:
        self.store.compact(self._session(number))

    @rule(number=NUMBERS)
    def shorten(self, number: int) -> None:
        self.store.shorten(self._session(number), self.soak.archived.events)

    @rule(number=NUMBERS, way=st.sampled_from(WAYS))
    def end(self, number: int, way: str) -> None:
        getattr(self.store, way)(self._session(number))

    @rule()
    def tidy(self) -> None:
        self.store.forget(self.soak.archived.events)

    # --- the timer

    @rule(fault=st.sampled_from(("", "", *GATEWAY, *OTHER)), rests=st.booleans())
    def tick(self, fault: str, rests: bool) -> None:
        self._tick(fault, rests)

    @rule(fault=st.sampled_from(DEATHS), dies_at=st.integers(0, 400))
    def tick_that_dies(self, fault: str, dies_at: int) -> None:
        self._tick(fault, True, dies_at)

    def _tick(self, fault: str, rests: bool, dies_at: int | None = None) -> None:
        self.number += 1
        self.soak.now += 400_000 if rests else 0
        self.soak.tick(self.number, fault, dies_at=dies_at)
        self.store.now = self.soak.now
        assert self.soak.seen.broken == []

    # --- people and disks

    @precondition(lambda self: self.soak.archived.events)
    @rule(number=NUMBERS, damage=st.sampled_from(DAMAGES), forget_catalog=st.booleans())
    def corrupt_and_repair(self, number: int, damage: str, forget_catalog: bool) -> None:
        home = self.soak.moon.home
        if verify(home).errors:
            return  # a killed cycle left something that its successor takes in
        files = sorted(path for path in home.raw.rglob("*.jsonl*") if not path.name.startswith("."))
        copy = self.soak.moon.folder / "copy"
        shutil.copytree(home.raw, copy)
        path = files[number % len(files)]
        data = bytearray(path.read_bytes())
        data[number % len(data)] ^= 1
        path.write_bytes(data if damage == "changed" else data[: len(data) // 2])
        if damage == "gone":
            path.unlink()
        if forget_catalog:
            home.catalog.unlink(missing_ok=True)
        assert verify(home).errors
        self.soak.moon.ok("archive", "--repair", "--from", str(copy), env={"MOON_NOW": format_ms(self.soak.now)})
        assert verify(home).errors == []
        shutil.rmtree(copy)

    @precondition(lambda self: self.soak.archived.events)
    @rule(number=NUMBERS)
    def restore(self, number: int) -> None:
        agent, session_id = sorted(self.store.said)[number % len(self.store.said)]
        held = set(archived_events(self.soak.moon.home, session_id))
        if not held or verify(self.soak.moon.home).errors:
            return
        parts: list[bytes] = []
        with open_catalog(self.soak.moon.home) as catalog:
            restore(catalog, agent, session_id, parts.append)
        said = [line for line in self.store.said[agent, session_id] if line in held]
        assert b"".join(parts).splitlines() == said

    @precondition(lambda self: self.soak.archived.events)
    @rule(number=NUMBERS)
    def recall(self, number: int) -> None:
        """What a whole cycle has archived is found, to the byte."""
        self._tick("", True)
        self._tick("", True)
        events = sorted(each for each in archived_events(self.soak.moon.home) if b'"message"' in each)
        if events:
            wanted = events[number % len(events)]
            found = self.soak.moon.ok(
                "recall", "--event", event_id(wanted), "--raw", env={"MOON_NOW": format_ms(self.soak.now)}
            )
            assert found.stdout.rstrip(b"\n") == wanted

    # --- what always holds

    @invariant()
    def nothing_is_lost(self) -> None:
        self.store.observe_all()
        held = set(archived_events(self.soak.moon.home))
        for (agent, session_id), lines in self.store.said.items():
            missing = [line for line in lines if line not in held]
            stored = self.store.anywhere(agent, session_id) if missing else set()
            assert [line for line in missing if line not in stored] == []

    def teardown(self) -> None:
        try:
            self.soak.rest(self.number)
            assert list(self.soak.count()) == []
        finally:
            self.stack.close()


WholeLife.TestCase.settings = settings(examples(3), stateful_step_count=STEPS)
TestWholeLife = WholeLife.TestCase
