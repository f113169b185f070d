"""A real S3 server (moto) on a loopback port, for as long as the tests run."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import NamedTuple

START = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""

# What a server of S3 says when it will not.
CODES = {
    "AccessDenied": (403, "AccessDenied"),
    "InvalidAccessKeyId": (403, "InvalidAccessKeyId"),
    "ExpiredToken": (400, "ExpiredToken"),
    "503": (503, "SlowDown"),
    "500": (500, "InternalError"),
}


class Buckets(NamedTuple):
    """Where it listens. Anybody with any key may do anything there."""

    url: str
    process: subprocess.Popen[str]

    def environment(self) -> dict[str, str]:
        """The usual variables, as somebody would set them for a server of one's own."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_REGION": "us-east-1",
        }

    def make(self, name: str) -> str:
        """A new bucket; its URL."""
        self.ask("PUT", name)
        return f"s3://{name}"

    def ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """A plain request, past Moon."""
        request = urllib.request.Request(f"{self.url}/{path}", method=method, data=data)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: bytes = answer.read()
        return found


@contextlib.contextmanager
def serving() -> Iterator[Buckets]:
    """The server, in a process of its own that ends with its standard input."""
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
    process = subprocess.Popen(
        [sys.executable, "-c", START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "moto did not start"
        yield Buckets(f"http://127.0.0.1:{port}", process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


class Spoiler:
    """Stands before the server and does to requests what networks and rights do. `how(method, path)` says what:
    "" let it through; "cut" hang up; "late" hang up once it was done; "hang" never answer; "half" cut the answer; a
    number such as "503"; a code of S3 such as "AccessDenied".
    """

    def __init__(self, behind: Buckets) -> None:
        self.how: Callable[[str, str], str] = lambda method, path: ""
        self.asked = 0
        self._behind = behind
        self._free = threading.Event()
        spoiler = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                spoiler._answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, *about: object) -> None:
                return

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A client that was killed hangs up, as it is meant to."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def environment(self) -> dict[str, str]:
        """The usual variables, with the spoiler in the way."""
        return {**self._behind.environment(), "AWS_ENDPOINT_URL": self.url}

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked += 1
        data = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        how = self.how(request.command, request.path)
        request.close_connection = how != ""
        if how == "hang":
            self._free.wait(60)
        if how in ("hang", "cut"):
            return
        if how in CODES:
            status, said = CODES[how]
            text = f"<Error><Code>{said}</Code><Message>{said}</Message></Error>".encode()
            self._send(request, status, {}, text)
            return
        status, headers, body = self._forward(request, data)
        if how == "late":
            return
        self._send(request, status, headers, body, half=how == "half")

    def _forward(self, request: http.server.BaseHTTPRequestHandler, data: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._behind.url.removeprefix("http://"), timeout=30)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
            connection.request(request.command, request.path, data or None, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _send(
        self,
        request: http.server.BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        body: bytes,
        *,
        half: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):
            request.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    request.send_header(name, value)
            length = headers.get("Content-Length", str(len(body))) if request.command == "HEAD" else str(len(body))
            request.send_header("Content-Length", length)
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(body[: len(body) // 2] if half else body)

    def close(self) -> None:
        """End it, and let go whatever hangs."""
        self._free.set()
        self._server.shutdown()
        self._server.server_close()
