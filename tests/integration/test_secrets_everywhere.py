"""Secrets stay in the raw archives: none comes into pages, index, records, memory, map, pack, logs or documents."""

from __future__ import annotations

import json

import pytest
from tests.seeded_secrets import IN_CONTEXT, SECRETS
from tests.support import events
from tests.support.gateway import KEY, Gateway
from tests.support.moon import archived_events, files_below

# The catalog holds ids and hashes, the raw archives what OpenClaw holds.
EXACT = ("archives/raw/",)


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """A session that says every secret: as decisions, as tasks, in a call's arguments and in a result."""
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
    made.store.put(KEY, "s1", lines, used=45_000)
    made.set(MOON_DISTILL__PROVIDERS="local")
    return made


def secrets() -> dict[str, bytes]:
    """Each secret; of one with several lines, the line in the middle."""
    found = {name: value.splitlines()[len(value.splitlines()) // 2] for name, value in SECRETS.items()}
    found.update({name: value for name, (_, value) in IN_CONTEXT.items()})
    return {name: value.encode() for name, value in found.items()}


def test_no_secret_leaves_the_raw_archives(gateway, capfd):
    for tool in ("archive", "index", "distill", "rollover"):
        assert gateway.run(tool, "--session", KEY) == 0, tool
    raw = b"\n".join(archived_events(gateway.moon.home, "s1"))
    assert all(value in raw for value in secrets().values()), "the archive holds what was said"

    capfd.readouterr()
    for question in ("which step uses what", "what must be rotated", "deploy.sh", "step done"):
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
