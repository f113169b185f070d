"""OpenClaw's gateway asked over its own WebSocket protocol: milliseconds where the command takes seconds.

Wire version 4 (docs/openclaw.md): the gateway sends `connect.challenge`, the client answers with `connect`, then every
request is answered by a frame with its id. One question is under way at a time. Whatever goes wrong before a request
was sent is `GatewayUnreachable`; from then on it is `NoAnswer`, because the gateway may still do what was asked.
"""

from __future__ import annotations

import contextlib
import json
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from moon import __version__
from moon.errors import OpenClawFailed
from moon.openclaw.gateway_address import Address

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

Answer = dict[str, Any]
PROTOCOL = 4
SCOPES = ("operator.read", "operator.write", "operator.admin")
# What OpenClaw has programs on its own machine call themselves. They need no paired device, which 2026.6.9 asks of a
# `cli`, and every release asks of one where the gateway takes no secret.
CLIENT = {"id": "gateway-client", "version": __version__, "platform": "python", "mode": "backend"}
# The gateway lets frames be 25 MiB at most.
FRAME_LIMIT = 32 << 20
RETRY_SECONDS = 0.5
# What HTTP says while a gateway is not ready for WebSockets.
UNAVAILABLE = 503


class GatewayUnreachable(OpenClawFailed):
    """There is no connection to the gateway; nothing was asked."""

    code = "gateway_unreachable"


class NoAnswer(OpenClawFailed):
    """A request was sent, and no answer came: it may have been carried out, or be under way still."""

    code = "gateway_no_answer"


class GatewayRefused(OpenClawFailed):
    """The gateway answered, and the answer is no: nothing of what was asked is under way any more."""

    code = "gateway_refused"

    def __init__(
        self, message: str, *, hint: str = "", path: str = "", code: str = "", details: Answer | None = None
    ) -> None:
        super().__init__(message, hint=hint, path=path, code=code)
        self.details = details or {}


class SecretRefused(OpenClawFailed):
    """The gateway runs, and does not take the token or password that OpenClaw's configuration names."""

    code = "gateway_secret"


class NotSpoken(Exception):
    """This gateway cannot be talked to over the socket; the command may still manage."""


class GrantsTooLittle(NotSpoken):
    """The gateway talks with us, and does not let us write and reset."""


class _Starting(Exception):
    """The gateway is starting up; ask again in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class GatewaySocket:
    """One open connection."""

    def __init__(self, opened: AbstractContextManager[ClientConnection]) -> None:
        self._stack = contextlib.ExitStack()
        self.connection = self._stack.enter_context(opened)
        self.count = 0

    @classmethod
    def open(cls, address: Address, seconds: float) -> GatewaySocket:
        """Connect; a gateway that is starting is waited for.

        Raises `GatewayUnreachable`, `SecretRefused`, `NotSpoken`.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                return cls._open_once(address, deadline)
            except _Starting as starting:
                if time.monotonic() + starting.seconds >= deadline:
                    raise GatewayUnreachable(
                        f"the gateway at {address.url} is still starting", hint="the next tick tries again"
                    ) from None
                time.sleep(starting.seconds)

    @classmethod
    def _open_once(cls, address: Address, deadline: float) -> GatewaySocket:
        try:
            from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
            from websockets.sync.client import connect
        except ImportError as error:
            raise NotSpoken("the package websockets is not installed") from error
        left = max(0.1, deadline - time.monotonic())
        try:
            # A proxy is for the way out; this connection stays on the machine.
            made = cls(
                connect(
                    address.url, max_size=FRAME_LIMIT, compression=None, open_timeout=left, close_timeout=1, proxy=None
                )
            )
        except (InvalidHandshake, InvalidMessage) as error:
            if isinstance(error, InvalidStatus) and error.response.status_code == UNAVAILABLE:
                raise _Starting(RETRY_SECONDS) from error
            raise NotSpoken(f"{address.url} speaks no WebSocket: {error}") from error
        except (OSError, EOFError, TimeoutError) as error:
            raise GatewayUnreachable(f"no gateway answers at {address.url}: {error}") from error
        try:
            made._introduce(address, deadline)
        except BaseException:
            made.close()
            raise
        return made

    def _introduce(self, address: Address, deadline: float) -> None:
        """Wait for the challenge, then say who we are and what we may do."""
        parameters: Answer = {
            "minProtocol": PROTOCOL,
            "maxProtocol": PROTOCOL,
            "client": CLIENT,
            "role": "operator",
            "scopes": list(SCOPES),
        }
        if address.secret_field:
            parameters["auth"] = {address.secret_field: address.secret}
        try:
            self._await_event("connect.challenge", deadline)
            hello = self._exchange("connect", parameters, deadline, final=False)
        except NoAnswer as error:
            raise GatewayUnreachable(f"{address.url} gave no greeting: {error.message}") from error
        except GatewayRefused as error:
            raise _refusal(error, address) from error
        granted = hello.get("auth", {}).get("scopes", [])
        if not isinstance(granted, list) or not set(SCOPES) <= set(granted):
            raise GrantsTooLittle("the gateway grants this connection too little without a paired device")

    def call(self, method: str, parameters: Answer, seconds: float, *, final: bool = False) -> Answer:
        """Ask; the answer's payload. `final`: the answer behind `accepted`. Raises `NoAnswer`, `GatewayRefused`."""
        return self._exchange(method, parameters, time.monotonic() + seconds, final=final)

    def _exchange(self, method: str, parameters: Answer, deadline: float, *, final: bool) -> Answer:
        self.count += 1
        name = f"moon-{self.count}"
        with self._told(method):
            self.connection.send(json.dumps({"type": "req", "id": name, "method": method, "params": parameters}))
        while True:
            frame = self._receive(method, deadline)
            if frame.get("type") != "res" or frame.get("id") != name:
                continue
            payload = frame.get("payload")
            payload = payload if isinstance(payload, dict) else {}
            if frame.get("ok") is not True:
                raise refused(method, frame.get("error"))
            if not (final and payload.get("status") == "accepted"):
                return payload

    def _await_event(self, name: str, deadline: float) -> None:
        while self._receive(name, deadline).get("event") != name:
            continue

    def _receive(self, what: str, deadline: float) -> Answer:
        """The next frame; one that is no JSON object is passed over."""
        while True:
            with self._told(what):
                data = self.connection.recv(timeout=max(0.01, deadline - time.monotonic()))
            try:
                frame = json.loads(data)
            except (ValueError, RecursionError):
                continue
            if isinstance(frame, dict):
                return frame

    @contextlib.contextmanager
    def _told(self, what: str) -> Any:
        """Put what the connection may throw into words."""
        from websockets.exceptions import ConnectionClosed

        try:
            yield
        except TimeoutError as error:
            raise NoAnswer(f"{what} gave no answer in time") from error
        except (ConnectionClosed, OSError) as error:
            raise NoAnswer(f"{what}: the connection to the gateway broke: {error}") from error

    def close(self) -> None:
        """End the connection; a request that is under way goes on in the gateway."""
        with contextlib.suppress(Exception):
            self._stack.close()


def refused(method: str, error: object) -> GatewayRefused:
    """A no in words; `details` keeps what the gateway says for programs."""
    shape = error if isinstance(error, dict) else {"message": str(error or "no reason given")}
    words = str(shape.get("message") or "no reason given")[:300]
    code = "gateway_scope" if "missing scope" in words else GatewayRefused.code
    return GatewayRefused(f"{method}: {words}", code=code, details=shape)


def _refusal(error: GatewayRefused, address: Address) -> Exception:
    """What a refused `connect` means."""
    shape = error.details
    details = shape.get("details")
    code = str(details.get("code", "")) if isinstance(details, dict) else ""
    if shape.get("code") == "UNAVAILABLE" or shape.get("retryable") is True:
        after = shape.get("retryAfterMs")
        return _Starting(after / 1000 if isinstance(after, (int, float)) and 0 < after < 10_000 else RETRY_SECONDS)
    if code.startswith("AUTH_") and address.secret_field:
        return SecretRefused(
            f"the gateway at {address.url} runs, and refuses the {address.secret_field} of OpenClaw's configuration: "
            f"{str(shape.get('message', ''))[:200]}",
            path=address.source,
        )
    return NotSpoken(error.message)
