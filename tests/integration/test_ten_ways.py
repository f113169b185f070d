"""A home broken in many ways; each time moon-status or moon-verify alone names the cause and what to run.

What a person does first: look at moon-status, and where that says nothing, at moon-verify.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.fakes.gateway_server import GatewayServer
from tests.loopback_providers import providers
from tests.support import events
from tests.support.gateway import Gateway
from tests.support.programs import write_python_program
from tests.support.stores import NOW_MS, SqliteStoreBuilder
from tests.support.unprivileged import held_back_by_permissions

from moon.clock import format_ms
from moon.fulltext import open_writer
from moon.fulltext.index_seal import put_seal
from moon.fulltext.page_sums import sum_all

DAY = 86_400


class Machine:
    """A Moon and an OpenClaw that are well: archived, indexed, the gateway listening."""

    def __init__(self, gateway: Gateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.gateway = gateway
        self.moon = gateway.moon
        self.capsys = capsys
        self.monkeypatch = monkeypatch
        self.moon.extra.update(FAKE_OPENCLAW=str(gateway.plan_file), MOON_DISTILL__PROVIDERS="local")
        for name, value in self.moon.extra.items():
            monkeypatch.setenv(name, value)
        self.now = 0

    def tick(self, later: int = 30, **env: str) -> int:
        """Let the timer fire, so many seconds after it did last."""
        self.now += later
        self.gateway.later(self.now)
        return self.moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + self.now * 1000), **env}).code

    def told(self, tool: str, *arguments: str) -> list[dict[str, str]]:
        """What a tool says is wrong, run in this process: code, message and hint."""
        self.capsys.readouterr()
        code = self.gateway.run(tool, "--json", *arguments)
        document = json.loads(self.capsys.readouterr().out)
        if tool == "status":
            assert code == any(each["needs_person"] for each in document["problems"])
            return [each for each in document["problems"] if each["needs_person"]]
        return [each for each in document["details"] if each["level"] != "ok"]

    def words(self, tool: str) -> str:
        """What a person reads."""
        self.capsys.readouterr()
        self.gateway.run(tool)
        return self.capsys.readouterr().out


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Machine]:
    gateway = Gateway(tmp_path, monkeypatch)
    gateway.fill(used=39_000)
    with GatewayServer() as server:
        gateway.listen(server.port)
        made = Machine(gateway, capsys, monkeypatch)
        assert made.tick() == 0
        yield made


class Way(NamedTuple):
    """How it is broken, who tells, and what: the code of the cause, a word of the message, a word of the remedy."""

    broken_by: Callable[[Machine], None]
    tool: str
    code: str
    says: str
    remedy: str
    arguments: tuple[str, ...] = ()


def another_store(machine: Machine) -> None:
    """OpenClaw was updated and has another store now."""
    store = machine.moon.state_dir / "agents" / "main" / "agent" / "openclaw-agent.sqlite"
    for name in ("", "-wal", "-shm"):
        Path(f"{store}{name}").unlink(missing_ok=True)
    store.write_bytes(b"of the next version " * 400)
    machine.tick()


def no_store(machine: Machine) -> None:
    """OpenClaw's state was moved elsewhere."""
    shutil.rmtree(machine.moon.state_dir)
    machine.tick()


def broken_qmd(machine: Machine) -> None:
    """QMD fails at every cycle."""
    program = write_python_program(machine.moon.folder / "qmd", "import sys; sys.exit('SqliteError: not a database')")
    env = {"MOON_QMD__ENABLED": "true", "MOON_QMD__BIN": str(program)}
    for number in range(4):
        SqliteStoreBuilder(machine.moon.state_dir).put(
            f"agent:main:{number}", f"n{number}", events.conversation(f"n{number}", 2), used=39_000
        )
        machine.tick(**env)


def clock_was_ahead(machine: Machine) -> None:
    """The clock was two days ahead once, and the timer is dead since it was set right."""
    machine.tick(2 * DAY)
    machine.gateway.later(0)


def dead_timer(machine: Machine) -> None:
    """Nobody starts the timer any more."""
    machine.gateway.later(3600)


def full_disk(machine: Machine) -> None:
    """No byte can be written."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    machine.monkeypatch.setattr("moon.verify.home_checks.write_all", full)


def typing_error(machine: Machine) -> None:
    """A key of moon.yaml is misspelt."""
    machine.moon.home.config_file.write_text("treshold: {archive: 0.7}\n")
    machine.moon.home.config_file.chmod(0o600)


def closed_archive(machine: Machine) -> None:
    """One sudo: a folder that its owner may not look into."""
    next(machine.moon.home.raw.glob("*")).chmod(0)


def closed_index(machine: Machine) -> None:
    """The same with the index."""
    machine.moon.home.text_index.chmod(0)


def closed_state(machine: Machine) -> None:
    """The same with the state file."""
    machine.moon.home.state_file.chmod(0)


def closed_configuration(machine: Machine) -> None:
    """The same with moon.yaml."""
    machine.moon.home.config_file.write_text("timezone: UTC\n")
    machine.moon.home.config_file.chmod(0)


def damaged_index(machine: Machine) -> None:
    """Bytes of the index were changed behind its back."""
    with open_writer(machine.moon.home.text_index) as index:
        index.connection.execute("UPDATE message SET digest = digest + 1 WHERE id = (SELECT max(id) FROM message)")
    sum_all(machine.moon.home.text_index)
    put_seal(machine.moon.home.text_index)


def damaged_archive(machine: Machine) -> None:
    """A byte of an archive was changed; the daily look finds it."""
    archive = machine.moon.home.root / machine.moon.ledger()[0]["archive_path"]
    archive.write_bytes(archive.read_bytes().replace(b"lighthouse", b"lighthause", 1))
    machine.tick(DAY + 60)


def another_token(machine: Machine) -> None:
    """The gateway was started with another token than openclaw.json says now."""
    machine.gateway.listen(machine_port(machine), token="another")


def machine_port(machine: Machine) -> int:
    document = json.loads((machine.moon.state_dir / "openclaw.json").read_text())
    port: int = document["gateway"]["port"]
    return port


def too_few_rights(machine: Machine) -> None:
    """The gateway grants the connection too little."""
    machine.gateway.behave(greeting="poor")


def refused_key(machine: Machine) -> None:
    """The provider refuses the key."""
    with providers() as server:
        server.moods = ["401"]
        env = {
            "MOON_DISTILL__PROVIDERS": "openai,local",
            "OPENAI_API_KEY": "k" * 20,
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "MOON_DISTILL__OPENAI__MODELS": "m",
        }
        SqliteStoreBuilder(machine.moon.state_dir).put("agent:main:b", "s2", events.conversation("s2", 40), used=47_000)
        machine.tick(**env)
    for name in ("MOON_DISTILL__PROVIDERS", "OPENAI_API_KEY"):
        machine.monkeypatch.setenv(name, env[name])


def key_of_the_shell(machine: Machine) -> None:
    """The key is exported in a shell; the timer does not see it."""
    unit = machine.moon.folder / ".config" / "systemd" / "user" / "moon-sample.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f'[Service]\nEnvironment="PATH=/usr/bin"\nEnvironmentFile=-{machine.moon.home.root}/environment\n')
    machine.monkeypatch.setenv("GEMINI_API_KEY", "k" * 20)
    machine.monkeypatch.setenv("MOON_DISTILL__PROVIDERS", "gemini,local")


def no_skill(machine: Machine) -> None:
    """An agent came after the installation."""
    machine.gateway.behave(skills=[])


def recall_out_of_reach(machine: Machine) -> None:
    """The gateway has a PATH without moon-recall."""
    machine.gateway.behave(
        skills=[{"name": "moon-recall", "missing": {"bins": ["moon-recall"]}, "modelVisible": False}]
    )


def memory_is_a_file(machine: Machine) -> None:
    """The folder of the daily memory cannot be written."""
    shutil.rmtree(machine.moon.home.memory, ignore_errors=True)
    machine.moon.home.memory.write_text("")


WAYS = {
    "another store": Way(another_store, "status", "store_foreign", "openclaw-agent.sqlite", "update Moon"),
    "no store": Way(no_store, "status", "store_absent", "no OpenClaw", "OPENCLAW_STATE_DIR"),
    "broken QMD": Way(broken_qmd, "status", "qmd_failed", "not a database", "qmd --index moon update"),
    "clock was ahead": Way(clock_was_ahead, "status", "clock_wrong", "in the future", "timedatectl"),
    "dead timer": Way(dead_timer, "status", "timer_stopped", "3570 s ago", "systemctl --user status"),
    "full disk": Way(full_disk, "verify", "disk_full", "No space left", "free some room"),
    "typing error": Way(typing_error, "status", "config_invalid", "did you mean thresholds", "moon.yaml.example"),
    "closed archive": Way(closed_archive, "verify", "no_permission", "you may not use", "chown"),
    "closed index": Way(closed_index, "verify", "no_permission", "recall.sqlite", "chown"),
    "closed index, status": Way(closed_index, "status", "no_permission", "unable to open", "chown"),
    "closed state": Way(closed_state, "verify", "no_permission", "moon_state.json", "chown"),
    "closed state, status": Way(closed_state, "status", "no_permission", "moon_state.json", "chown"),
    "closed moon.yaml": Way(closed_configuration, "verify", "no_permission", "moon.yaml", "chown"),
    "damaged index": Way(damaged_index, "verify", "index_corrupt", "not as", "moon-index --rebuild", ("--deep",)),
    "damaged archive": Way(damaged_archive, "status", "archive_damaged", "not the", "moon-archive --repair"),
    "another token": Way(another_token, "verify", "gateway_secret", "refuses the token", "gateway.auth"),
    "too few rights": Way(too_few_rights, "verify", "gateway_scope", "grants", "openclaw devices"),
    "refused key": Way(refused_key, "status", "model_key_refused", "the key was refused", "make a new key"),
    "key of the shell": Way(key_of_the_shell, "verify", "key_not_for_timer", "set in this shell", "environment"),
    "no skill": Way(no_skill, "verify", "skill_missing", "agent main does not have", "moon-install"),
    "recall out of reach": Way(recall_out_of_reach, "verify", "recall_not_on_path", "PATH", "gateway restart"),
    "memory is a file": Way(memory_is_a_file, "verify", "memory_unwritable", "no folder", "paths.memory"),
}


def test_a_well_machine_has_nothing_to_say(machine: Machine) -> None:
    assert machine.told("status") == []
    assert [each for each in machine.told("verify") if each["check"] != "timer" or each["level"] == "fail"] == []


@pytest.mark.parametrize("name", WAYS)
def test_the_cause_and_the_remedy_are_named(machine: Machine, name: str) -> None:
    way = WAYS[name]
    with held_back_by_permissions():
        way.broken_by(machine)
        found = [each for each in machine.told(way.tool, *way.arguments) if each["code"] == way.code]
        said = machine.words(way.tool) if not way.arguments else ""
    assert len(found) == 1, f"one cause, one hint: {found}"
    assert way.says in found[0]["message"], found[0]["message"]
    assert way.remedy in found[0]["hint"], found[0]["hint"]
    if said:
        assert found[0]["hint"] in said
    if name == "closed archive":
        next(machine.moon.home.raw.glob("*")).chmod(0o700)


def test_what_only_the_timer_sees_is_not_taken_from_the_shell(machine: Machine) -> None:
    key_of_the_shell(machine)
    (machine.moon.home.root / "environment").write_text("GEMINI_API_KEY=sixteen\n")
    (machine.moon.home.root / "environment").chmod(0o600)
    assert [each for each in machine.told("verify") if each["check"] == "keys"] == []
    assert "sixteen" not in machine.words("verify")
