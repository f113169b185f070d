"""Secrets stay in the raw archives: none comes into pages, index, records, memory, map, pack, logs or requests."""

from __future__ import annotations

import json
import random

import pytest
from tests.attack.secret_kinds import KINDS
from tests.attack.secrets import CAUGHT_AT_LEAST, CLOTHINGS, undressed
from tests.loopback_providers import providers
from tests.seeded_secrets import IN_CONTEXT, SECRETS
from tests.support import events
from tests.support.gateway import KEY, Gateway
from tests.support.moon import archived_events, files_below

# The catalog holds ids and hashes, the raw archives what OpenClaw holds.
EXACT = ("archives/raw/",)
WINDOW = 12


def clothed() -> dict[str, tuple[str, str]]:
    """Each kind in each clothing, from a seed: (what is said, the secret)."""
    made = {}
    for name, kind in KINDS.items():
        for clothing, dress in CLOTHINGS.items():
            generator = random.Random(f"everywhere/{name}/{clothing}")
            text, secret = kind(generator)
            made[f"{name} in {clothing}"] = (dress(generator, text, secret), secret)
    return made


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """A session that says every secret: as decisions, tasks, arguments of calls, results, and in every clothing."""
    made = Gateway(tmp_path / "machine", monkeypatch)
    lines = events.conversation("s1", 4)
    said = [*SECRETS.values(), *(text for text, _ in IN_CONTEXT.values())]
    for number, text in enumerate(said):
        lines.append(
            events.message(f"d{number}", f"Decision: the deploy step number {number} uses {text} from now on.")
        )
        lines.append(events.message(f"t{number}", f"TODO: rotate {text} for step {number}.", role="assistant"))
        lines.append(events.tool_call(f"c{number}", "exec", {"command": f"deploy.sh step-{number} '{text}'"}))
        lines.append(events.tool_result(f"r{number}", "exec", f"step {number} done with {text}"))
    for number, (text, _) in enumerate(clothed().values()):
        lines.append(events.tool_result(f"x{number}", "exec", f"step {number} printed: {text}"))
        lines.append(events.message(f"y{number}", f"Decision: step {number} says {text}", role="assistant"))
    made.store.put(KEY, "s1", lines, used=45_000)
    made.set(MOON_DISTILL__PROVIDERS="local")
    return made


def secrets() -> dict[str, bytes]:
    """Each secret; of one with several lines, the line in the middle."""
    found = {name: value.splitlines()[len(value.splitlines()) // 2] for name, value in SECRETS.items()}
    found.update({name: value for name, (_, value) in IN_CONTEXT.items()})
    return {name: value.encode() for name, value in found.items()}


def leaks_of_clothed(places: dict[str, bytes]) -> list[str]:
    """The clothed secrets of which the beginning, the middle or the end can be read in a place."""
    shown = "\n".join(undressed(data.decode("utf-8", "replace")) for data in places.values())
    leaked = []
    for name, (_, secret) in clothed().items():
        body = max(secret.split("\n"), key=len)
        parts = (body[:WINDOW], body[len(body) // 2 :][:WINDOW], body[-WINDOW:])
        if any(part in shown for part in parts if len(part) >= 8 and any(map(str.isdigit, part))):
            leaked.append(name)
    return leaked


def test_no_secret_leaves_the_raw_archives(gateway, capfd):
    for tool in ("archive", "index", "distill", "rollover"):
        assert gateway.run(tool, "--session", KEY) == 0, tool
    raw = b"\n".join(archived_events(gateway.moon.home, "s1"))
    assert all(value in raw for value in secrets().values()), "the archive holds what was said"
    assert len(leaks_of_clothed({"said": "\n".join(text for text, _ in clothed().values()).encode()})) > 400

    capfd.readouterr()
    for question in ("which step uses what", "what must be rotated", "deploy.sh", "step done", "step printed", "says"):
        assert gateway.run("recall", question, "--limit", "50", "--max-tokens", "20000") == 0
    printed = capfd.readouterr()
    places = {name: data for name, data in files_below(gateway.moon.home.root).items() if not name.startswith(EXACT)}
    places["what recall printed"] = printed.out.encode() + printed.err.encode()
    places["the map in the new window"] = json.dumps(gateway.maps()).encode()
    assert len(gateway.maps()) == 1 and any(name.startswith("memory/") for name in places)
    leaks = [
        f"{name} in {place}" for name, value in secrets().items() for place, data in places.items() if value in data
    ]
    assert leaks == []
    leaked = leaks_of_clothed(places)
    assert len(clothed()) - len(leaked) >= CAUGHT_AT_LEAST, leaked


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_no_secret_is_sent_to_a_model(gateway, provider):
    with providers() as server:
        gateway.set(
            MOON_DISTILL__PROVIDERS=provider,
            GEMINI_API_KEY="loopback-gemini-key",
            OPENAI_API_KEY="loopback-openai-key",
            GOOGLE_GEMINI_BASE_URL=server.url,
            OPENAI_BASE_URL=f"{server.url}/v1",
            NO_PROXY="127.0.0.1",
        )
        for tool in ("archive", "index", "distill"):
            assert gateway.run(tool, "--session", KEY) == 0, tool
        sent = {f"request {number}": body.encode() for number, (_, _, body) in enumerate(server.requests)}
    assert sent, "the model was asked"
    leaks = [f"{name} in {place}" for name, value in secrets().items() for place, data in sent.items() if value in data]
    assert leaks == []
    leaked = leaks_of_clothed(sent)
    assert len(clothed()) - len(leaked) >= CAUGHT_AT_LEAST, leaked
