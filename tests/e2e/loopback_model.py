"""A language model on the loopback interface, for tests: OpenAI chat completions, streamed, scripted, logged.

Promise: every request body is appended to a JSON Lines file before it is answered. That log is the only proof
of what reached the model's context. Answers come from a queue that the test fills; an empty queue gives a short
acknowledgement. Reported usage follows the size of the request, so that a growing session really fills up.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHARACTERS_PER_TOKEN = 4
COMPACTION_HEADINGS = ("Decisions", "Open TODOs", "Constraints/Rules", "Pending user asks", "Exact identifiers")


@dataclass(frozen=True)
class Answer:
    """One scripted answer: text, or tool calls as (name, arguments), after `delay` seconds.

    `gate`, when given, holds the answer back until it is set: a run that stays active as long as a test needs.
    `prompt_tokens` replaces the usage that would be reported.
    """

    text: str = ""
    tool_calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    delay: float = 0.0
    gate: threading.Event | None = None
    prompt_tokens: int | None = None


@dataclass
class LoopbackModel:
    """The server and its script. `with LoopbackModel(log) as model: … model.url …`"""

    log_path: Path
    summary: str = ""
    base_tokens: int = 0
    _answers: deque[Answer] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> LoopbackModel:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        """Base URL for a provider configuration."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def script(self, *answers: Answer) -> None:
        """Queue the next answers, in order."""
        with self._lock:
            self._answers.extend(answers)

    def requests(self) -> list[dict[str, Any]]:
        """Every request body so far."""
        if not self.log_path.exists():
            return []
        return [json.loads(line) for line in self.log_path.read_text(encoding="utf-8").splitlines()]

    def answer(self, body: dict[str, Any]) -> Answer:
        """Log one request and choose what to say."""
        with self._lock:
            with self.log_path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(body, ensure_ascii=False) + "\n")
            if is_compaction(body):
                return Answer(text=self.summary or default_summary())
            return self._answers.popleft() if self._answers else Answer(text="Understood.")

    def prompt_tokens(self, body: dict[str, Any]) -> int:
        """Tokens to report: the size of messages and tools, as a real tokenizer would roughly count them."""
        return self.base_tokens + len(json.dumps([body.get("messages"), body.get("tools")])) // CHARACTERS_PER_TOKEN


def message_text(message: dict[str, Any]) -> str:
    """The text of one chat message, whether a string or a list of blocks."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return content if isinstance(content, str) else ""


def is_compaction(body: dict[str, Any]) -> bool:
    """Whether OpenClaw asks for a summary of a session: no tools are offered, and the system prompt says so."""
    system = message_text(body["messages"][0]) if body.get("messages") else ""
    return not body.get("tools") and "context summarization assistant" in system


def default_summary() -> str:
    """The least that OpenClaw accepts as a summary."""
    return "\n\n".join(f"## {heading}\n- none" for heading in COMPACTION_HEADINGS)


def _handler_for(model: LoopbackModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = model.answer(body)
            if answer.gate is not None:
                answer.gate.wait(timeout=300)
            time.sleep(answer.delay)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            used = model.prompt_tokens(body) if answer.prompt_tokens is None else answer.prompt_tokens
            for chunk in stream(answer, used):
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

        def handle(self) -> None:
            """A client that went away has killed its run; that is for the test to notice, not for stderr."""
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing on stderr."""

    return Handler


def stream(answer: Answer, prompt_tokens: int) -> Iterator[dict[str, Any]]:
    """The chunks of one streamed answer; the last one carries the usage."""
    common = {"id": f"chatcmpl-{time.time_ns()}", "object": "chat.completion.chunk", "model": "mock-1", "created": 0}
    completion_tokens = max(1, len(answer.text) // CHARACTERS_PER_TOKEN)
    calls = [
        {
            "index": index,
            "id": f"call_{time.time_ns()}_{index}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for index, (name, arguments) in enumerate(answer.tool_calls)
    ]
    delta = {"role": "assistant", "content": answer.text, **({"tool_calls": calls} if calls else {})}
    yield {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if calls else "stop"}]}
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    yield {**common, "choices": [], "usage": usage}
