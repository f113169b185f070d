"""Configurations without a file."""

from __future__ import annotations

import json
from typing import Any

from moon import config as configuration
from moon.config import Config


def settings(**sections: Any) -> Config:
    """A checked configuration: the defaults, with these sections' keys in their place."""
    values = configuration.resolve(json.dumps(sections).encode(), {}, "test")
    return configuration.build(Config, values)
