"""The prompts for models: Markdown files beside this one. A user's own folder (`distill.prompts`) comes first."""

from __future__ import annotations

from pathlib import Path

from moon.errors import ConfigInvalid, MoonError
from moon.files import read_bounded

PLACEHOLDERS = {"distill": ("fence",), "merge": ("fence",), "repair": ()}
MAX_BYTES = 64 << 10


def load_prompt(name: str, folder: str = "") -> str:
    """The text of a prompt. Raises `ConfigInvalid` when the user's own cannot be used."""
    own = Path(folder).expanduser() / f"{name}.md" if folder else None
    path = own if own is not None and own.exists() else Path(__file__).with_name(f"{name}.md")
    try:
        text = read_bounded(path, MAX_BYTES).decode()
    except (OSError, MoonError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"cannot read the prompt {path}", path=str(path), hint="see distill.prompts") from error
    for placeholder in PLACEHOLDERS[name]:
        if _mark(placeholder) not in text:
            raise ConfigInvalid(
                f"the prompt {path} lacks {_mark(placeholder)}",
                path=str(path),
                hint="put it where the shipped prompt has it: without the fence, data could pose as instructions",
            )
    return text


def _mark(placeholder: str) -> str:
    return "{{" + placeholder + "}}"


def fill(text: str, **values: str) -> str:
    """A prompt with its placeholders filled in."""
    for name, value in values.items():
        text = text.replace(_mark(name), value)
    return text
