"""Recalled messages reach a live session's model once, and a gateway that fails is told in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import KEY, Gateway

QUESTION = "how many entries does the lighthouse ledger hold?"


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    made = Gateway(tmp_path, monkeypatch)
    made.fill()
    assert made.run("archive", "--all") == 0
    assert made.run("index", "--all") == 0
    return made


def messages(gateway: Gateway) -> list[dict[str, Any]]:
    return [each["message"] for each in gateway.transcript() if each.get("type") == "message"]


def test_the_pack_arrives_once(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(messages(gateway))
    assert gateway.run("recall", QUESTION, "--inject", KEY, "--pick", "1", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    brought = [each for each in messages(gateway)[before:] if each["role"] == "user"]
    assert len(brought) == 1
    assert document["pack"].strip() in str(brought[0]["content"])
    assert document["injected"]["session_key"] == KEY
    assert gateway.run("recall", QUESTION, "--inject", KEY, "--pick", "1") == 1
    assert "already" in capsys.readouterr().err
    assert len([each for each in messages(gateway)[before:] if each["role"] == "user"]) == 1
    assert [entry["outcome"] for entry in gateway.moon.audit("inject")] == ["done", "refused"]


@pytest.mark.parametrize("mood", ["no", "error0", "garbage"])
def test_a_gateway_that_fails_is_told(gateway: Gateway, capsys: pytest.CaptureFixture[str], mood: str) -> None:
    gateway.behave(agent=mood)
    assert gateway.run("recall", QUESTION, "--inject", KEY) == 1
    assert capsys.readouterr().err
    assert [entry["outcome"] for entry in gateway.moon.audit("inject")] == ["failed"]


def test_an_unknown_session_is_not_made(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert gateway.run("recall", QUESTION, "--inject", "agent:main:mian") == 1
    assert KEY in capsys.readouterr().err
    assert gateway.calls("agent") == []


def test_nothing_found_is_not_brought_in(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert gateway.run("recall", "zzzzqqqq", "--inject", KEY) == 2
    assert gateway.moon.audit("inject") == []


def test_no_text_in_the_audit_log(gateway: Gateway) -> None:
    assert gateway.run("recall", QUESTION, "--inject", KEY) == 0
    assert b"lighthouse" not in gateway.moon.home.audit_log.read_bytes()
