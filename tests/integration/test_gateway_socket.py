"""The gateway over its socket: what a good, a slow, a strange and a broken one makes of a question."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from tests.fakes.gateway_server import GatewayServer, handle
from tests.support.gateway import KEY, Gateway
from tests.support.settings import settings
from websockets.sync.server import serve

from moon.errors import OpenClawFailed
from moon.openclaw.gateway import Gateway as Port
from moon.openclaw.gateway import GatewayRefused, GatewayUnreachable, NoAnswer, SecretRefused, Underway


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    made = Gateway(tmp_path, monkeypatch)
    made.fill()
    with GatewayServer() as server:
        made.listen(server.port)
        yield made


def port(gateway, timeout=10.0, action=10.0):
    section = {
        "bin": "openclaw",
        "state_dir": str(gateway.moon.state_dir),
        "timeout_seconds": timeout,
        "action_timeout_seconds": action,
    }
    return Port(settings(openclaw=section), gateway.moon.home.request_lock)


def test_questions_go_over_one_connection(gateway):
    with port(gateway) as asked:
        assert asked.way == "socket"
        assert asked.is_busy(KEY) is False
        gateway.behave(active=[KEY])
        assert asked.is_busy(KEY) is True
    assert [call[2] for call in gateway.calls()] == ["sessions.list"] * 2


def test_frames_that_are_no_answer_are_passed_over(gateway):
    gateway.behave(greeting="noise")
    with port(gateway) as asked:
        assert asked.is_busy(KEY) is False and asked.way == "socket"


def test_a_turn_is_waited_for_behind_its_acceptance(gateway):
    gateway.behave(delay={"agent": 0.3})
    with port(gateway) as asked:
        asked.send_turn(KEY, "main", "hello", "k1")
    assert gateway.transcript()[-1]["message"]["role"] == "assistant"


@pytest.mark.parametrize("greeting", ["protocol", "poor"])
def test_a_gateway_that_does_not_speak_with_us_is_asked_through_the_command(gateway, greeting):
    gateway.behave(greeting=greeting)
    with port(gateway) as asked:
        assert asked.is_busy(KEY) is False
        assert asked.way == "command"


def test_something_else_at_that_port(gateway):
    with socket.create_server(("127.0.0.1", 0)) as other:
        gateway.listen(other.getsockname()[1])
        with port(gateway, timeout=0.3) as asked, pytest.raises(OpenClawFailed):
            asked.is_busy(KEY)


def test_a_wrong_secret_has_a_hint_of_its_own(gateway):
    found = json.loads((gateway.moon.state_dir / "openclaw.json").read_text())
    gateway.listen(found["gateway"]["port"], token="another")
    with port(gateway) as asked, pytest.raises(SecretRefused) as caught:
        asked.is_busy(KEY)
    assert "runs, and refuses the token" in caught.value.message
    assert "gateway.auth" in caught.value.hint and "gateway run" not in caught.value.hint
    assert "another" not in caught.value.message + caught.value.hint


def test_no_gateway_at_that_port(gateway):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        number = gone.getsockname()[1]
    gateway.listen(number)
    with port(gateway) as asked, pytest.raises(GatewayUnreachable) as caught:
        asked.is_busy(KEY)
    assert "gateway run" in caught.value.hint and gateway.calls() == []


@pytest.mark.parametrize("greeting", ["starting", "mute"])
def test_one_that_never_gets_ready_is_waited_for_a_bounded_time(gateway, greeting):
    gateway.behave(greeting=greeting)
    with port(gateway, timeout=0.5) as asked, pytest.raises(GatewayUnreachable):
        asked.is_busy(KEY)


def test_one_that_is_not_ready_for_websockets_yet_is_waited_for(gateway):
    turned_away = []

    def not_yet(connection, request):
        if len(turned_away) < 2:
            turned_away.append(request.path)
            return connection.respond(503, "starting")
        return None

    with serve(handle, "127.0.0.1", 0, compression=None, process_request=not_yet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        gateway.listen(server.socket.getsockname()[1])
        with port(gateway) as asked:
            assert asked.is_busy(KEY) is False and asked.way == "socket"
        server.shutdown()
    assert len(turned_away) == 2


def test_one_that_is_starting_is_waited_for(gateway):
    class Starting:
        """Starting until it was asked three times."""

        asked = 0

    from tests.fakes import gateway as fake

    real = fake.plan

    def plan():
        Starting.asked += 1
        return {"greeting": "starting"} if Starting.asked < 4 else real()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake, "plan", plan)
        with port(gateway) as asked:
            assert asked.is_busy(KEY) is False


@pytest.mark.parametrize("mood", ["hang", "garbage", "silent", "cut_before", "cut_after", "hang_after"])
def test_no_answer_is_not_a_no(gateway, mood):
    gateway.behave(reset=mood)
    with port(gateway, timeout=0.5) as asked:
        with pytest.raises(NoAnswer):
            asked.reset(KEY, "s1")
        gateway.behave()
        assert asked.is_busy(KEY) is False, "the next question opens a new connection"
    assert gateway.resets() == (mood in ("cut_after", "hang_after", "silent"))


def test_a_no_is_a_no(gateway):
    with port(gateway) as asked, pytest.raises(GatewayRefused) as caught:
        asked.reset(KEY, "another")
    assert "changed before reset" in caught.value.message
    assert gateway.resets() == 0


def test_one_act_at_a_time(gateway):
    with port(gateway) as first, port(gateway) as second, first.acting():
        with pytest.raises(Underway):
            second.compact(KEY, "main")
        assert second.is_busy(KEY) is False, "questions are free"
    assert gateway.calls("sessions.compact") == []
