"""Who asks is told when the archive is behind, and recall goes on though moon.yaml has a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support import events
from tests.support.moon import Moon
from tests.support.stores import NOW_MS, SqliteStoreBuilder
from tests.support.unprivileged import held_back_by_permissions

from moon.cli.recall import main as recall_main
from moon.cli.run_tool import run_tool
from moon.clock import format_ms


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    made = Moon(tmp_path, {"MOON_DISTILL__PROVIDERS": "local"})
    lines = [*events.conversation("s1", 3), events.message("m9", "the lighthouse ledger holds 4711 entries")]
    SqliteStoreBuilder(made.state_dir).put("agent:main:main", "s1", lines, used=39_000)
    assert made.run("sample").code == 0
    return made


def ask(moon: Moon, *arguments: str, seconds: int = 20) -> dict:
    env = {"MOON_NOW": format_ms(NOW_MS + seconds * 1000)}
    return moon.ok("recall", "lighthouse ledger", "--json", *arguments, env=env).json()


def test_a_fresh_archive_is_not_doubted(moon: Moon) -> None:
    assert ask(moon)["degraded"] == []


def test_who_asks_is_told_that_the_archive_is_behind(moon: Moon) -> None:
    (line,) = ask(moon, seconds=7200)["degraded"]
    assert line.startswith("archive: nobody has looked for 2 h") and "moon-status" in line
    store = moon.state_dir / "agents" / "main" / "agent" / "openclaw-agent.sqlite"
    store.write_bytes(b"no database " * 100)
    moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + 7200_000)})
    (line,) = ask(moon, seconds=7210)["degraded"]
    assert line.startswith("archive: behind for 10 s") and str(store) in line
    assert ask(moon, seconds=7210)["results"]


def test_with_a_wrong_configuration_recall_goes_on_and_says_so(moon: Moon) -> None:
    moon.home.config_file.write_text("treshold: {archive: 0.7}\n")
    moon.home.config_file.chmod(0o600)
    document = ask(moon)
    assert document["results"] and "did you mean thresholds" in document["degraded"][0]
    around = moon.ok("recall", "--event", "m9", "--context", "1", "--json").json()
    assert "did you mean thresholds" in around["degraded"][0]
    told = moon.ok("recall", "--session", "agent:main:main", "--format", "text")
    assert "4711" in told.stdout.decode() and "did you mean thresholds" in told.stderr
    assert moon.run("recall", "lighthouse", "--inject", "agent:main:main").code == 78
    assert moon.run("prune", "--all").code == 78


def test_with_a_configuration_or_an_index_out_of_reach_recall_goes_on(
    moon: Moon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moon.home.config_file.write_text("timezone: UTC\n")
    moon.home.config_file.chmod(0)
    moon.home.index.chmod(0)
    for name, value in moon.env.items():
        monkeypatch.setenv(name, value)
    try:
        with held_back_by_permissions():
            assert run_tool("moon-recall", recall_main, ["lighthouse ledger", "--json"]) == 0
    finally:
        moon.home.index.chmod(0o700)
    document = json.loads(capsys.readouterr().out)
    assert document["results"]
    assert [line.split(":")[0] for line in document["degraded"]] == ["configuration", "embedded", "embedded"]


def test_what_somebody_else_may_write_is_refused_as_before(moon: Moon) -> None:
    moon.home.config_file.write_text("timezone: UTC\n")
    moon.home.config_file.chmod(0o666)
    assert moon.run("recall", "lighthouse").code == 78
