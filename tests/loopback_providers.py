"""A loopback HTTP server that speaks the Gemini and the OpenAI protocol, well or badly, and keeps every request."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_SECONDS = 30.0
ENTRY = re.compile(r"^\[(e\d+) (\w+)[^\]]*\] (.+)$", re.MULTILINE)


def honest_answer(prompt: str) -> str:
    """Notes that quote the conversation in the prompt word for word, as a good model would."""
    lists: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("summary", "decisions", "rules", "milestones", "open_tasks", "commands", "identifiers")
    }
    for name, role, text in ENTRY.findall(prompt):
        if role == "user":
            target = "rules" if "never" in text.lower() else "decisions"
            lists[target].append({"text": text[:200], "events": [name]})
    return json.dumps(lists)


class Providers(ThreadingHTTPServer):
    """The server. `moods` are used one for each request; the last one stays.

    A mood is an HTTP status that refuses, or one of: ok, hang, cut, truncated, wrong (JSON of another form), not-json,
    empty (no candidates), safety (withheld), huge (50 MB).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.moods: list[str] = ["ok"]
        self.answers: list[str] = []
        self.requests: list[tuple[str, dict[str, str], str]] = []
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_mood(self) -> str:
        """How to treat this request."""
        return self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]

    def next_answer(self, prompt: str) -> str:
        """The scripted answer, or an honest one."""
        return self.answers.pop(0) if self.answers else honest_answer(prompt)

    def models_asked(self) -> list[str]:
        """The model of each request, in order."""
        found = []
        for path, _, body in self.requests:
            match = re.search(r"/models/([^:]+):", path)
            found.append(match.group(1) if match else json.loads(body)["model"])
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Providers

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.server.requests.append((self.path, dict(self.headers), body))
        mood = self.server.next_mood()
        gemini = ":generateContent" in self.path
        if mood == "hang":
            self.server.stopping.wait(HANG_SECONDS)
            self.close_connection = True
        elif mood.isdigit():
            self._refuse(int(mood), gemini)
        elif mood == "huge":
            self._huge()
        elif mood == "cut":
            self._head(200, 4000)
            self.wfile.write(b'{"candidates": [{"content"')
            self.close_connection = True
        else:
            self._send(200, self._answer(mood, gemini, body))

    def _answer(self, mood: str, gemini: bool, body: str) -> bytes:
        if mood == "not-json":
            return b"<html>gateway</html>"
        text = self.server.next_answer(_prompt(json.loads(body), gemini)) if mood in ("ok", "truncated") else ""
        if mood == "wrong":
            text = json.dumps({"answer": 42})
        document = _gemini(text, mood) if gemini else _openai(text, mood)
        if mood == "empty":
            document.update({"candidates": []} if gemini else {"choices": []})
        data = json.dumps(document).encode()
        return data[: len(data) // 2] if mood == "truncated" else data

    def _refuse(self, status: int, gemini: bool) -> None:
        words = "model not found" if status == 404 else "sk-this-key-is-echoed-1234567890 was refused"
        error = {"error": {"code": status, "message": words, "status": "SOME_STATUS"}}
        self._send(status, json.dumps(error).encode(), {"Retry-After": "1"} if status == 429 else {})

    def _huge(self) -> None:
        total = 50 << 20
        self._head(200, total)
        block = b"x" * 65536
        with contextlib.suppress(OSError):
            for _ in range(total // len(block)):
                self.wfile.write(block)

    def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(data), headers)
        self.wfile.write(data)


def _prompt(body: dict[str, Any], gemini: bool) -> str:
    if gemini:
        return "".join(part["text"] for content in body["contents"] for part in content["parts"])
    return str(body["messages"][-1]["content"])


def _gemini(text: str, mood: str) -> dict[str, Any]:
    reason = "SAFETY" if mood == "safety" else "STOP"
    content = {} if mood == "safety" else {"content": {"role": "model", "parts": [{"text": text}]}}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
    return {"candidates": [{**content, "finishReason": reason, "index": 0}], "usageMetadata": usage}


def _openai(text: str, mood: str) -> dict[str, Any]:
    reason = "content_filter" if mood == "safety" else "stop"
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text}}
    return {"id": "x", "choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}


@contextlib.contextmanager
def providers(moods: Sequence[str] = ("ok",)) -> Iterator[Providers]:
    """A running server, stopped at the end."""
    server = Providers()
    server.moods = list(moods)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
        time.sleep(0)
