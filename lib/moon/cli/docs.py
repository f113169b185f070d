"""`python lib/launch.py docs`, which `make docs` calls: texts that are rendered from the configuration's schema."""

from __future__ import annotations

from moon import resources, schema
from moon.cli.parser import Parser
from moon.install import config_pages

EXAMPLES = """\
  make docs                       write moon.yaml.example and docs/configuration.md
"""


def main(arguments: list[str]) -> int:
    """Write both; returns the exit code."""
    Parser("moon-docs", "Render moon.yaml.example and docs/configuration.md.", EXAMPLES).parse_args(arguments)
    shape = schema.load_schema("config")
    (resources.CHECKOUT / "moon.yaml.example").write_text(config_pages.render_example(shape), "utf-8")
    (resources.CHECKOUT / "docs" / "configuration.md").write_text(config_pages.render_reference(shape), "utf-8")
    return 0
