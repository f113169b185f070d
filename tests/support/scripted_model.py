"""A model that gives the answers it was told to give, in order, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from moon.model.model_port import Answer, ModelFailed, Question

Reply = str | Answer | ModelFailed | Callable[[Question], "str | Answer | ModelFailed"]


class Scripted:
    """Answers from a script; the last reply is repeated."""

    def __init__(self, replies: Iterable[Reply], provider: str = "gemini") -> None:
        self.provider = provider
        self.asked: list[tuple[str, Question]] = []
        self._replies = list(replies)

    def ask(self, model: str, question: Question, timeout: float) -> Answer:
        """The next reply of the script."""
        reply = self._replies[min(len(self.asked), len(self._replies) - 1)]
        self.asked.append((model, question))
        given = reply(question) if callable(reply) else reply
        if isinstance(given, ModelFailed):
            raise given
        return Answer(given) if isinstance(given, str) else given
