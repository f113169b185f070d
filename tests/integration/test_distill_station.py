"""moon-distill as people and the pipeline call it, on archives made from a real JSONL store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.loopback_providers import providers
from tests.seeded_secrets import IN_CONTEXT, SECRETS

from moon import schema

ROOT = Path(__file__).resolve().parents[2]
KEY = "agent:main:main"


class Moon:
    """Runs executables against a home and a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "moon"
        self.store = folder / "openclaw"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MOON_HOME": str(self.home),
            "MOON_PYTHON": sys.executable,
            "OPENCLAW_STATE_DIR": str(self.store),
            "MOON_TIMEZONE": "Europe/Berlin",
            "MOON_REDACT__RULES": "builtin",
        }

    def write_session(self, session_id: str, messages: list[tuple[str, Any]], start: str = "2026-11-20T22:30") -> None:
        """A JSONL transcript: (role, content) pairs, a minute apart."""
        folder = self.store / "agents" / "main" / "sessions"
        folder.mkdir(parents=True, exist_ok=True)
        hour, minute = int(start[11:13]), int(start[14:16])
        lines: list[dict[str, Any]] = [
            {"type": "session", "version": 3, "id": session_id, "timestamp": f"{start}:00.000Z"}
        ]
        for number, (role, content) in enumerate(messages):
            total = hour * 60 + minute + number
            when = (
                f"{start[:8]}{int(start[8:10]) + total // 1440:02d}T{total % 1440 // 60:02d}:{total % 60:02d}:00.000Z"
            )
            message = {"role": role, "content": content}
            lines.append(
                {
                    "type": "message",
                    "id": f"{session_id}-{number}",
                    "parentId": None,
                    "timestamp": when,
                    "message": message,
                }
            )
        (folder / f"{session_id}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        entry = {"sessionId": session_id, "updatedAt": 1_795_000_000_000, "totalTokens": 100, "contextTokens": 64000}
        rows = folder / "sessions.json"
        known = json.loads(rows.read_text()) if rows.exists() else {}
        rows.write_text(json.dumps({**known, KEY if not known else f"agent:main:{session_id}": entry}))

    def run(self, tool: str, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run `moon-<tool>`."""
        command = [str(ROOT / "bin" / f"moon-{tool}"), *arguments]
        environment = {**self.env, **env}
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=environment, timeout=120, check=False
        )

    def archive(self) -> list[str]:
        """Archive everything; the hashes in the ledger, by session id."""
        done = self.run("archive", "--all")
        assert done.returncode == 0, done.stderr
        lines = map(json.loads, (self.home / "archives" / "ledger.jsonl").read_text().splitlines())
        return [line["sha256"] for line in sorted(lines, key=lambda line: line["session_id"])]

    def record(self, sha: str) -> dict[str, Any]:
        """The DistillationRecord of an archive, checked."""
        return schema.read("distillation", self.home / "distillations" / f"{sha}.json")

    def memory(self, day: str) -> str:
        """A day's memory file."""
        return (self.home / "memory" / f"{day}.md").read_text()

    def audit(self) -> list[dict[str, Any]]:
        """The audit lines of the distill station."""
        path = self.home / "skills" / "moon-system" / "logs" / "audit.log"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in lines if line["action"] == "distill"]


TALK: list[tuple[str, Any]] = [
    ("user", "The nightly import fails since Tuesday, can you look?"),
    (
        "assistant",
        [{"type": "toolCall", "id": "c1", "name": "exec", "arguments": {"command": "systemctl status import.timer"}}],
    ),
    ("toolResult", [{"type": "text", "text": "import.service: Failed with result 'exit-code' 3f9c2ab"}]),
    ("assistant", "The cause was a full disk on /srv/import. I have not changed anything yet."),
    ("user", "Let's move the import folder to /data/import instead. Never delete the raw files."),
    ("assistant", "Done: moved to /data/import, the import works again."),
    ("user", "We still need to tell the data team by Friday, ticket OPS-411."),
]


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    made = Moon(tmp_path)
    made.write_session("s1", TALK)
    return made


def test_an_archive_is_distilled_into_a_record_and_a_block(moon: Moon) -> None:
    (sha,) = moon.archive()
    done = moon.run("distill", "--archive", sha[:10], "--provider", "local", "--json")
    assert done.returncode == 0, done.stderr
    entry = json.loads(done.stdout)["stations"][0]["sessions"][0]
    assert entry["outcome"] == "done"
    assert entry["archives"] == [sha]
    record = moon.record(sha)
    assert any("/data/import" in text for text in record["decisions"])
    assert any("raw files" in text for text in record["rules"])
    assert any("data team" in text for text in record["open_tasks"])
    assert "OPS-411" in " ".join([*record["identifiers"], *record["open_tasks"]])
    ids = {f"s1-{number}" for number in range(len(TALK))}
    assert all(set(source) <= ids for each in record["sources"].values() for source in each)
    assert {name: len(each) for name, each in record["sources"].items()} == {
        name: len(record[name]) for name in record["sources"]
    }
    text = moon.memory("2026-11-20")
    assert f"<!-- moon:begin {sha} -->" in text
    assert "23:30–23:36 · agent:main:main" in text
    assert record["memory_file"] == str(moon.home / "memory" / "2026-11-20.md")


def test_twice_adds_nothing(moon: Moon) -> None:
    (sha,) = moon.archive()
    moon.run("distill", "--session", KEY)
    before = (moon.memory("2026-11-20"), moon.record(sha), moon.audit())
    again = moon.run("distill", "--session", KEY)
    assert again.returncode == 0
    assert json.loads(again.stdout)["stations"][0]["sessions"][0]["outcome"] == "nothing"
    assert (moon.memory("2026-11-20"), moon.record(sha), moon.audit()) == before


def test_it_is_a_filter_behind_the_other_stations(moon: Moon) -> None:
    (sha,) = moon.archive()
    usage = json.loads(moon.run("sample", "--no-exec").stdout)
    usage["sessions"][0]["due"] = ["distill"]
    done = moon.run("distill", stdin=json.dumps(usage))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stations"][0]["sessions"][0]["archives"] == [sha]


def test_pending_finds_what_was_never_distilled(moon: Moon) -> None:
    moon.write_session("s2", [("user", "Let's use the blue folder from now on.")], start="2026-11-21T10:00")
    first, second = moon.archive()
    moon.run("distill", "--archive", first)
    done = moon.run("distill", "--pending")
    archives = [
        sha for entry in json.loads(done.stdout)["stations"][0]["sessions"] for sha in entry.get("archives", [])
    ]
    assert archives == [second]


def test_a_date_chooses_by_local_day(moon: Moon) -> None:
    late = [("user", "Remember: never call before noon.")]
    moon.write_session("s2", late, start="2026-11-20T23:10")
    first, second = moon.archive()
    moon.run("distill", "--date", "2026-11-21")
    assert (moon.home / "distillations" / f"{second}.json").exists()
    assert not (moon.home / "distillations" / f"{first}.json").exists()
    assert "never call before noon" in moon.memory("2026-11-21")


def test_a_dry_run_changes_nothing(moon: Moon) -> None:
    (sha,) = moon.archive()
    done = moon.run("distill", "--pending", "--dry-run")
    assert sha[:12] in done.stderr
    assert not (moon.home / "distillations").exists()
    assert not (moon.home / "memory").exists()


def test_hand_written_memory_stays(moon: Moon) -> None:
    moon.archive()
    path = moon.home / "memory" / "2026-11-20.md"
    path.parent.mkdir(parents=True)
    path.write_bytes("# Mein Tag\r\n\r\nKaffee war gut.".encode("utf-16-le"))
    before = path.read_bytes()
    moon.run("distill", "--pending")
    assert path.read_bytes().startswith(before)


def test_the_memory_folder_can_be_the_agents_workspace(moon: Moon, tmp_path: Path) -> None:
    moon.archive()
    done = moon.run("distill", "--pending", MOON_PATHS__MEMORY=str(tmp_path / "workspace" / "memory"))
    assert done.returncode == 0, done.stderr
    assert "moon:begin" in (tmp_path / "workspace" / "memory" / "2026-11-20.md").read_text()


def test_a_block_lost_in_a_crash_is_written_from_the_record(moon: Moon) -> None:
    (sha,) = moon.archive()
    moon.run("distill", "--pending")
    record = moon.record(sha)
    (moon.home / "memory" / "2026-11-20.md").unlink()
    schema.write("distillation", {**record, "memory_file": None}, moon.home / "distillations" / f"{sha}.json")
    moon.run("distill", "--session", KEY)
    assert moon.memory("2026-11-20").count("moon:begin") == 1
    assert moon.record(sha) == record


def test_a_damaged_record_is_made_again(moon: Moon) -> None:
    (sha,) = moon.archive()
    moon.run("distill", "--pending")
    (moon.home / "distillations" / f"{sha}.json").write_text('{"schema": "moon.dist')
    moon.run("distill", "--pending")
    assert moon.record(sha)["provider"] == "local"
    assert moon.memory("2026-11-20").count("moon:begin") == 1


@pytest.mark.parametrize("name", ["distillations/{sha}.json", "state/models.json"])
def test_a_document_of_a_newer_moon_is_refused_and_stays(moon: Moon, name: str) -> None:
    (sha,) = moon.archive()
    moon.run("distill", "--pending")
    path = moon.home / name.format(sha=sha)
    newer = path.read_text().replace('/1"', '/2"', 1) if path.exists() else '{"schema": "moon.models/2"}'
    path.write_text(newer)
    done = moon.run("distill", "--session", KEY)
    assert done.returncode in (1, 78)
    assert "/2 is newer than" in done.stderr
    assert path.read_text() == newer


def test_seeded_secrets_reach_no_record_memory_or_log(moon: Moon) -> None:
    secrets = {**SECRETS, **{name: secret for name, (_, secret) in IN_CONTEXT.items()}}
    texts = [f"From now on always use this one: {secret}" for secret in SECRETS.values()]
    texts += [f"Remember this: {text}" for text, _ in IN_CONTEXT.values()]
    moon.write_session("s3", [("user", text) for text in texts], start="2026-11-20T10:00")
    shas = moon.archive()
    done = moon.run("distill", "--pending")
    assert done.returncode == 0, done.stderr
    written = [
        path.read_text()
        for folder in ("distillations", "memory", "skills", "state")
        for path in (moon.home / folder).rglob("*")
        if path.is_file()
    ]
    everything = "\n".join([*written, done.stdout, done.stderr])
    found = [
        name for name, secret in secrets.items() if any(part in everything for part in secret.splitlines()[:2][-1:])
    ]
    assert found == []
    assert sum(moon.record(shas[-1])["redacted"].values()) >= len(secrets)


def test_an_unknown_archive_or_session_is_named(moon: Moon) -> None:
    moon.archive()
    for arguments in (["--archive", "ffff"], ["--session", "agent:main:nobody"]):
        done = moon.run("distill", *arguments)
        assert done.returncode == 1
        assert arguments[1] in done.stderr


def test_an_archive_without_words_gives_a_record_and_no_block(moon: Moon) -> None:
    moon.write_session("t-empty", [])
    shas = moon.archive()
    done = moon.run("distill", "--archive", shas[-1])
    assert done.returncode == 0, done.stderr
    assert moon.record(shas[-1])["memory_file"] is None
    assert not (moon.home / "memory").exists()
    again = moon.run("distill", "--archive", shas[-1])
    assert json.loads(again.stdout)["stations"][0]["sessions"][0]["outcome"] == "nothing"


def test_the_audit_line_names_the_provider_and_no_words(moon: Moon) -> None:
    (sha,) = moon.archive()
    moon.run("distill", "--pending")
    (line,) = moon.audit()
    assert line["outcome"] == "done"
    assert line["ids"] == [sha]
    assert line["providers"] == {"local": 1}
    assert "import" not in json.dumps(line)


def test_a_damaged_archive_does_not_keep_the_others_from_being_distilled(moon: Moon) -> None:
    moon.archive()
    moon.write_session("s1", [*TALK, ("user", "Let's name the new folder import-2026.")])
    moon.archive()
    ledger = [json.loads(line) for line in (moon.home / "archives" / "ledger.jsonl").read_text().splitlines()]
    broken = moon.home / ledger[0]["archive_path"]
    broken.chmod(0o600)
    broken.rename(broken.with_suffix(".gone"))
    done = moon.run("distill", "--pending")
    assert done.returncode == 1
    assert ledger[0]["archive_path"] in done.stderr
    assert any("import-2026" in text for text in moon.record(ledger[1]["sha256"])["decisions"])
    (line,) = moon.audit()
    assert (line["outcome"], line["ids"]) == ("failed", [ledger[1]["sha256"]])


def test_interrupted_it_leaves_nothing_half_written_and_goes_on_later(moon: Moon) -> None:
    (sha,) = moon.archive()
    with providers(["hang"]) as server:
        env = {**moon.env, "OPENAI_BASE_URL": server.url, "MOON_DISTILL__PROVIDERS": "openai"}
        moon.write_session("s1", [*TALK, ("user", "Please keep all of this in mind. " * 30)])
        shas = moon.archive()
        command = [str(ROOT / "bin" / "moon-distill"), "--pending"]
        child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        words = child.communicate(timeout=120)[1]
    assert server.requests
    assert child.returncode == 130
    assert "nothing was left half-written" in words
    assert [path.name for path in moon.home.rglob("*tmp*")] == []
    again = moon.run("distill", "--pending", "--provider", "local")
    assert again.returncode == 0, again.stderr
    record = moon.record(sha)
    assert (record["provider"], record["archives"]) == ("local", shas)
