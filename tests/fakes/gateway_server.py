"""The stand-in gateway over WebSocket, wire version 4, frame by frame as the real one was recorded.

`{"greeting": "starting" | "mute" | "protocol" | "secret" | "poor" | "noise"}` in the plan spoils the handshake; the
moods of an action are those of `gateway.py`, and `cut_before` and `cut_after` break the connection around the deed.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.fakes import gateway as fake
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

Answer = dict[str, Any]
TOKEN = "of-the-stand-in"
SCOPES = ["operator.read", "operator.write", "operator.admin"]
ACTIONS = {"sessions.reset": "reset", "sessions.compact": "compact", "sessions.create": "create", "agent": "agent"}


class GatewayServer:
    """`with GatewayServer() as server: server.port`."""

    def __enter__(self) -> GatewayServer:
        self.server = serve(handle, "127.0.0.1", 0, compression=None)
        self.port: int = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()


def handle(connection: ServerConnection) -> None:
    """One client, until it goes away."""
    try:
        if not greet(connection):
            return
        for data in connection:
            request(connection, json.loads(data))
    except ConnectionClosed:
        return


def greet(connection: ServerConnection) -> bool:
    """Challenge and `connect`; is the client let in?"""
    greeting = fake.plan().get("greeting", "")
    if greeting == "noise":
        connection.send("[]")
        connection.send("no JSON")
    connection.send(json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}}))
    frame = json.loads(connection.recv())
    wanted = frame["params"]
    if greeting == "mute":
        return True
    if greeting == "starting":
        error = {"code": "UNAVAILABLE", "message": "gateway starting", "retryable": True, "retryAfterMs": 50}
        answer(connection, frame["id"], None, error)
        connection.close(1013, "gateway starting")
        return False
    if greeting == "protocol" or not wanted["minProtocol"] <= 4 <= wanted["maxProtocol"]:
        details = {"code": "PROTOCOL_MISMATCH", "expectedProtocol": 5}
        answer(connection, frame["id"], None, refusal("protocol mismatch", details))
        return False
    if greeting == "secret" or wanted.get("auth") != {"token": TOKEN}:
        details = {"code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch"}
        answer(connection, frame["id"], None, refusal("unauthorized: gateway token mismatch", details))
        return False
    granted = [] if greeting == "poor" else SCOPES
    hello = {"type": "hello-ok", "protocol": 4, "auth": {"role": "operator", "scopes": granted}}
    answer(connection, frame["id"], hello)
    return True


def refusal(message: str, details: Answer) -> Answer:
    """The error of a refused `connect`."""
    return {"code": "INVALID_REQUEST", "message": message, "details": details}


def answer(connection: ServerConnection, name: str, payload: Answer | None, error: Answer | None = None) -> None:
    """A `res` frame."""
    frame = {"type": "res", "id": name, "ok": error is None, **({"payload": payload} if error is None else {})}
    connection.send(json.dumps({**frame, **({"error": error} if error else {})}))


def request(connection: ServerConnection, frame: Answer) -> None:
    """Do what is asked, between events that nobody waits for; what was begun is done though the client goes away."""
    method, parameters = frame["method"], frame["params"]
    fake.note(["gateway", "call", method, "--params", json.dumps(parameters)])
    mood = fake.plan().get(ACTIONS.get(method, "list"), "ok")
    if mood == "cut_before":
        connection.close()
        return
    connection.send(json.dumps({"type": "event", "event": "tick", "payload": {}, "seq": 1}))
    if method == "agent":
        answer(connection, frame["id"], {"runId": parameters["idempotencyKey"], "status": "accepted"})
    try:
        fake.gateway_call(method, parameters)
    except fake.Reply as said:
        if mood == "cut_after":
            connection.close()
            return
        error = said.answer.get("error")
        answer(connection, frame["id"], said.answer, error if isinstance(error, dict) else None)
    except fake.Noise as noise:
        connection.send(str(noise))
    except fake.Hang:
        return
