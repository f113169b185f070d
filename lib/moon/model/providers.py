"""The providers by name."""

from __future__ import annotations

from moon.config import Distill
from moon.model.model_port import Model


def open_model(name: str, config: Distill) -> Model:
    """A provider's model, its key read. Raises `ProviderAbsent`."""
    if name == "gemini":
        from moon.model.gemini import Gemini

        return Gemini(config.gemini)
    from moon.model.openai import OpenAI

    return OpenAI(config.openai)
