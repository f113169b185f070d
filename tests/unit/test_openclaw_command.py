"""The openclaw command: only an answer of the expected shape counts."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.programs import write_program
from tests.support.settings import settings

from moon.errors import OpenClawFailed
from moon.openclaw import openclaw_command
from moon.openclaw.gateway import Gateway, GatewayRefused
from moon.openclaw.openclaw_command import OpenClaw, agent_of, reason_of
from moon.programs import find_json


@pytest.fixture
def command(tmp_path, monkeypatch):
    """An `openclaw` that prints what it is told and ends as it is told."""
    monkeypatch.setattr(openclaw_command, "ANSWER_SECONDS", 0.2)
    program = write_program(
        tmp_path / "openclaw",
        f'#!/bin/sh\ncd "{tmp_path}"\nprintf "%s\\n" "$@" >arguments\nenv >environment\n'
        'cat stdout\ncat stderr >&2\nexit "$(cat code)"\n',
    )

    def prepare(stdout: object = "", code: int = 0, stderr: str = "") -> OpenClaw:
        text = stdout if isinstance(stdout, str) else json.dumps(stdout)
        for name, content in (("stdout", text), ("code", str(code)), ("stderr", stderr)):
            (tmp_path / name).write_text(content)
        return OpenClaw(settings(openclaw={"bin": str(program), "state_dir": str(tmp_path), "timeout_seconds": 20}))

    return prepare


@pytest.fixture
def gateway(command, tmp_path):
    """A gateway that is asked through that command."""

    def prepare(stdout: object = "", code: int = 0, stderr: str = "") -> Gateway:
        return Gateway(command(stdout, code, stderr).config, tmp_path / "request.lock")

    return prepare


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"log":1}\n{"a":1}', {"a": 1}),
        (b'{\n"a": [\n{"b":1}\n]\n}', {"a": [{"b": 1}]}),
        (b'npm warn deprecated\n{"a":1}\nbye {x}', {"a": 1}),
        (b'[log] {not json}\n{"a":{"b":[1]}}', {"a": {"b": [1]}}),
        (b'{"broken\n{"a":1}', {"a": 1}),
        (b'{\n "a": 1\n}\n', {"a": 1}),
        (b"\xff\xfe{", None),
        (b"[1,2]", None),
        (b'{"last":1}\n{"a":', {"last": 1}),
        (b"", None),
        (b"{" * 3_000, None),
        (b"{\n" * 3_000, None),
    ],
)
def test_the_object_in_a_program_s_output(output, found):
    assert find_json(output, dict) == found


@given(st.binary(max_size=80) | st.text(alphabet='{}"[],:a1\n ', max_size=60).map(str.encode))
def test_any_output_can_be_read(output):
    found = find_json(output, dict)
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize(
    ("stdout", "code", "stderr", "says"),
    [
        ("", 1, "Error: no such command\n", "no such command"),
        ("", 0, "", "without a JSON answer"),
        ("<html>", 0, "", "without a JSON answer"),
        ("null", 0, "", "without a JSON answer"),
    ],
)
def test_no_answer(command, stdout, code, stderr, says):
    with pytest.raises(OpenClawFailed) as caught:
        command(stdout, code, stderr).list_sessions()
    assert says in caught.value.message and caught.value.hint


@pytest.mark.parametrize("answer", [{}, {"sessions": None}, {"sessions": {}}, {"error": "x"}])
def test_a_list_that_is_none(command, answer):
    with pytest.raises(OpenClawFailed):
        command(answer).list_sessions()


def test_rows_that_are_none_are_passed_over(command):
    rows = [None, 5, {}, {"key": 5, "sessionId": "x"}, {"key": "agent:ops:main", "sessionId": "s1", "totalTokens": 9}]
    (entry,) = command({"sessions": rows}).list_sessions()
    assert (entry.agent, entry.key, entry.session_id, entry.used_tokens) == ("ops", "agent:ops:main", "s1", 9)


def test_all_sessions_are_asked_for_and_the_lock_is_not_handed_on(command, tmp_path, monkeypatch):
    monkeypatch.setenv("MOON_LOCK_FD", "7")
    command({"sessions": []}).list_sessions()
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[arguments.index("--limit") + 1] == "all"
    environment = (tmp_path / "environment").read_text()
    assert "MOON_LOCK_FD" not in environment and f"OPENCLAW_STATE_DIR={tmp_path}" in environment


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": False, "error": {"type": "gateway_request_error", "message": "changed before reset"}},
        {"ok": False, "error": "a text"},
        {"ok": False, "reason": "why not"},
        {"ok": False},
        {"error": {"type": "gateway_transport_error", "message": "ECONNREFUSED"}},
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_an_answer_that_says_no_is_a_no_whatever_the_exit_code(gateway, answer, code):
    with pytest.raises(OpenClawFailed) as caught:
        gateway(answer, code).reset("agent:main:main", "s1")
    assert "sessions.reset" in caught.value.message


@pytest.mark.parametrize("message", ["unauthorized: gateway token mismatch", "Unauthorized (1008)"])
def test_a_wrong_secret_is_no_reason_to_start_the_gateway(gateway, message):
    answer = {"ok": False, "error": {"type": "gateway_transport_error", "message": message}}
    with pytest.raises(OpenClawFailed) as caught:
        gateway(answer, 1).is_busy("k")
    assert "openclaw gateway run" not in caught.value.hint and "gateway.auth" in caught.value.hint


def test_a_device_that_waits_for_approval_is_told_as_that_and_nothing_is_under_way(gateway):
    message = "gateway closed (1008): pairing required: device is asking for more scopes than currently approved"
    answer = {"ok": False, "error": {"type": "gateway_transport_error", "kind": "closed", "message": message}}
    with pytest.raises(GatewayRefused) as caught:
        gateway(answer, 1).reset("agent:main:main", "s1")
    assert caught.value.code == "gateway_scope" and "openclaw devices" in caught.value.hint


NO = {"ok": False, "error": {"type": "gateway_request_error", "message": "no"}}
LOG = {"level": "warn", "msg": "slow", "ok": True, "error": None}


@pytest.mark.parametrize("lines", [(LOG, NO), (NO, LOG), (LOG, NO, LOG), ({"time": 1, "level": 30}, NO)])
def test_a_line_of_a_log_is_not_the_answer(gateway, lines):
    with pytest.raises(GatewayRefused):
        gateway("\n".join(map(json.dumps, lines)), 0).reset("agent:main:main", "s1")


@pytest.mark.parametrize(
    "rows",
    [[], [{"key": "other", "hasActiveRun": False}], [{"key": "k"}], [{"key": "k", "hasActiveRun": "no"}], None, 5],
)
def test_silence_about_active_runs_is_no_permission(gateway, rows):
    with pytest.raises(OpenClawFailed):
        gateway({"sessions": rows}).is_busy("k")


@pytest.mark.parametrize("active", [True, False])
def test_active_runs(gateway, active):
    rows = [{"key": "k2", "hasActiveRun": not active}, {"key": "k", "hasActiveRun": active}]
    assert gateway({"sessions": rows}).is_busy("k") is active


def test_a_run_that_stands_in_the_list_only_is_a_run(gateway):
    assert gateway({"sessions": [{"key": "k", "hasActiveRun": False, "activeRunIds": ["r"]}]}).is_busy("k")


@pytest.mark.parametrize("key", ["with 'quotes\" and $(x)", "line\nbreak", "émoji 🌒", "-option", "a" * 3_000])
def test_any_key_goes_through_unharmed(gateway, tmp_path, key):
    gateway({"ok": True}).reset(key, "s1")
    (document,) = [line for line in (tmp_path / "arguments").read_text().splitlines() if line.startswith("{")]
    assert json.loads(document)["key"] == key


def test_a_key_that_no_program_can_get_is_an_error_in_words(command):
    with pytest.raises(OpenClawFailed):
        command({"ok": True}).ask(["sessions", "nul\0"])


def test_the_agent_of_a_key():
    assert agent_of("agent:ops:main") == "ops"
    assert [agent_of(key) for key in ("main", "agent:x", "", "other:a:b")] == ["main"] * 4


def test_reasons_are_bounded():
    assert len(reason_of({"error": {"message": "x" * 9_999}})) <= 300
    assert reason_of({}) == "no reason given"


def test_the_environment_of_the_caller_is_kept(command, tmp_path):
    command({"sessions": []}).list_sessions()
    assert f"PATH={os.environ['PATH']}" in (tmp_path / "environment").read_text()
