"""What Moon asks of OpenClaw's gateway, over the socket where it can be, else through the `openclaw` command.

    with Gateway(config, home.request_lock) as gateway:
        gateway.is_busy(key)              # a question
        gateway.reset(key, session_id)    # an act: nobody else's act of Moon is under way meanwhile

An act holds `request_lock` until it is over, and the command that carries it out inherits the lock. So an act that
outlived its killed station shows: `Underway` is raised instead of beginning another one beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from moon.config import Config
from moon.errors import LockBusy, MoonError, OpenClawFailed
from moon.files import exclusively
from moon.openclaw.gateway_address import find_address
from moon.openclaw.gateway_socket import (
    GatewayRefused,
    GatewaySocket,
    GatewayUnreachable,
    GrantsTooLittle,
    NoAnswer,
    NotSpoken,
    SecretRefused,
    refused,
)
from moon.openclaw.openclaw_command import OpenClaw

__all__ = ["Gateway", "GatewayRefused", "GatewayUnreachable", "NoAnswer", "SecretRefused", "Underway"]

Answer = dict[str, Any]
LIST_LIMIT = 1000
UNKNOWN_GUARD = "unexpected property 'expectedSessionId'"


class Underway(MoonError):
    """Something that an earlier station asked of OpenClaw is being carried out still."""

    code = "underway"


class Gateway:
    """One gateway; the way to it is found at the first question and kept.

    `doubt` says why it is asked through the command, where it is.
    """

    def __init__(self, config: Config, request_lock: Path) -> None:
        self.config = config
        self.request_lock = request_lock
        self.timeout = config.openclaw.timeout_seconds
        self.action_timeout = config.openclaw.action_timeout_seconds
        self._command = OpenClaw(config)
        self._socket: GatewaySocket | None = None
        self._by_command = False
        self.doubt = ""
        self.grants_too_little = False
        self._held: tuple[int, ...] = ()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back; the next question opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def way(self) -> Literal["socket", "command"]:
        """Find out how the gateway can be asked. Raises `GatewayUnreachable`, `SecretRefused`."""
        if self._socket is None and not self._by_command:
            address = find_address(self.config)
            try:
                if address is None:
                    raise NotSpoken("OpenClaw's configuration does not say plainly where its gateway is")
                self._socket = GatewaySocket.open(address, self.timeout)
            except NotSpoken as error:
                self._by_command, self.doubt = True, str(error)
                self.grants_too_little = isinstance(error, GrantsTooLittle)
        return "socket" if self._socket is not None else "command"

    def call(self, method: str, parameters: Answer, *, timeout: float | None = None, final: bool = False) -> Answer:
        """Call a method; the payload of its answer.

        Raises `GatewayUnreachable` (never sent), `GatewayRefused` (over), `NoAnswer` (may be under way still).
        """
        limit = timeout or self.timeout
        if self.way == "command" or self._socket is None:
            return self._command.call(method, parameters, timeout=limit, final=final, held=self._held)
        try:
            return self._socket.call(method, parameters, limit, final=final)
        except NoAnswer:
            self.close()
            raise

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """Hold the lock of acts. Raises `Underway`."""
        try:
            with exclusively(self.request_lock) as descriptor:
                self._held = (descriptor,)
                yield
        except LockBusy as error:
            raise Underway(
                "what was asked of OpenClaw before is being carried out still", hint="the next tick looks again"
            ) from error
        finally:
            self._held = ()

    def is_busy(self, session_key: str) -> bool:
        """Is a run in progress in this session? Raises `OpenClawFailed` when the gateway does not say."""
        row = self._listed(session_key)
        if row is None or not isinstance(row.get("hasActiveRun"), bool):
            raise OpenClawFailed(
                f"the gateway does not say whether a run is active in {session_key}",
                hint="nothing was changed; try again at the next tick",
            )
        # The list of runs, where it is given, is complete; a run can stand in it a moment before the mark shows it.
        return bool(row["hasActiveRun"] or row.get("activeRunIds"))

    def _listed(self, session_key: str) -> Answer | None:
        """The session's row in `sessions.list`."""
        # The rows of sessions.describe lack the mark of a run. The list is cut at 100 rows unless it is told otherwise.
        wanted = {"search": session_key, "limit": LIST_LIMIT, "includeGlobal": True, "includeUnknown": True}
        rows = self.call("sessions.list", wanted).get("sessions")
        named = [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []
        return next((each for each in named if each.get("key") == session_key), None)

    def compact(self, session_key: str, agent: str) -> Answer:
        """`sessions.compact`: a summary of the older part. The raw answer, which may say that nothing was done."""
        with self.acting():
            return self.call("sessions.compact", {"key": session_key, "agentId": agent}, timeout=self.action_timeout)

    def reset(self, session_key: str, session_id: str) -> None:
        """Start a new window, only if the session is still the one that was looked at.

        OpenClaw up to 2026.7 does not know `expectedSessionId` and refuses such a request; there the session's id is
        asked for right before, which leaves a moment open.
        """
        parameters = {"key": session_key, "reason": "new"}
        try:
            self._demand("sessions.reset", {**parameters, "expectedSessionId": session_id})
        except GatewayRefused as error:
            if UNKNOWN_GUARD not in error.message:
                raise
            row = self._listed(session_key)
            if row is None or row.get("sessionId") != session_id:
                raise GatewayRefused(f"sessions.reset: {session_key} is another session by now") from error
            self._demand("sessions.reset", parameters)

    def create_child(self, session_key: str, agent: str, child_key: str) -> None:
        """Make a session that succeeds this one, under a key of its own."""
        parameters = {"key": child_key, "agentId": agent, "parentSessionKey": session_key, "succeedsParent": True}
        self._demand("sessions.create", {**parameters, "emitCommandHooks": True})

    def _demand(self, method: str, parameters: Answer) -> None:
        answer = self.call(method, parameters)
        if answer.get("ok") is False:
            raise refused(method, answer.get("error") or answer.get("reason"))

    def send_turn(
        self, session_key: str, agent: str, message: str, idempotency_key: str, *, deliver: bool = False
    ) -> None:
        """Give the model a message as a turn of this session, and wait for its end.

        The gateway runs the same `idempotency_key` once, and the transcript keeps it with the message. Nothing goes out
        to a channel unless `deliver` says so; then the answer goes where the session's answers go, if it has a channel.
        """
        parameters = {
            "message": message,
            "agentId": agent,
            "sessionKey": session_key,
            "idempotencyKey": idempotency_key,
            "deliver": deliver,
            **({"bestEffortDeliver": True} if deliver else {}),
        }
        with self.acting():
            self.call("agent", parameters, timeout=self.action_timeout, final=True)
