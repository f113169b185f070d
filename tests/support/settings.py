"""Configurations without a file."""

from __future__ import annotations

import copy
import json
from typing import Any, TypeVar

from moon import config as configuration
from moon.config import Config, Section

Kind = TypeVar("Kind", bound=Section)


def settings(**sections: Any) -> Config:
    """A checked configuration: the defaults, with these sections' keys in their place."""
    values = configuration.resolve(json.dumps(sections).encode(), {}, "test")
    return Config(values)


def changed(section: Kind, **fields: Any) -> Kind:
    """A section of the configuration with other values in some of its fields."""
    made = copy.copy(section)
    made.__dict__.update(fields)
    return made
