"""The short form of `make soak`: some ticks of a day with faults, and everything counted."""

from __future__ import annotations

from tests.attack.soak import FAULTS, Soak
from tests.attack.soak_plot import draw
from tests.attack.spawner import Spawner
from tests.fakes.gateway_server import GatewayServer
from tests.loopback_providers import providers

TICKS = 24


def test_some_ticks_of_a_day_keep_every_promise(tmp_path, monkeypatch):
    for name in ("MOON_NOW", "OPENCLAW_STATE_DIR", "FAKE_OPENCLAW"):
        monkeypatch.setenv(name, "")  # the stand-in in this process goes by them; put back afterwards
    with GatewayServer() as server, providers(["ok"]) as model, Spawner(tmp_path) as spawner:
        soak = Soak(tmp_path / "soak", 12, server, model, spawner)
        soak.run(TICKS)
        assert list(soak.count()) == []
    assert soak.figures["events written"] > 50 and soak.seen.faults.total() > 2
    assert set(soak.seen.faults) <= set(FAULTS)
    draw(soak.seen.costs, tmp_path / "soak.svg", "a test")
    assert (tmp_path / "soak.svg").read_text().endswith("</svg>\n")
