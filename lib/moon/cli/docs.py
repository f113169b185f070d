"""`python lib/launch.py docs`, which `make docs` calls: texts rendered from the schema of the configuration and the
table of remedies.
"""

from __future__ import annotations

from moon import remedies, resources, schema
from moon.cli.parser import Parser
from moon.install import config_pages
from moon.install.trouble_page import render_troubleshooting

EXAMPLES = """\
  make docs    write moon.yaml.example, docs/configuration.md and docs/troubleshooting.md
"""


def main(arguments: list[str]) -> int:
    """Write them; returns the exit code."""
    Parser("moon-docs", "Write the pages that are rendered.", EXAMPLES).parse_args(arguments)
    shape = schema.load_schema("config")
    pages = {
        "moon.yaml.example": config_pages.render_example(shape),
        "docs/configuration.md": config_pages.render_reference(shape),
        "docs/troubleshooting.md": render_troubleshooting(remedies.table().values()),
    }
    for name, text in pages.items():
        (resources.CHECKOUT / name).write_text(text, "utf-8")
    return 0
