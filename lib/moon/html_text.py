"""What every HTML page of Moon has in common: nothing in it runs or is loaded, and a conversation is only text. Pure.

A page carries a Content-Security-Policy that allows its own style and nothing else, so that even text that slipped
through unescaped could load and run nothing.
"""

from __future__ import annotations

import html

from moon.paths import safe_name
from moon.text import lines, one_line

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """\
:root{color-scheme:light dark;--ink:#1c1e21;--faint:#5c6370;--paper:#fff;--card:#f5f6f8;--line:#d9dce1;
--mark:#0b5cad;--bad:#a3201a}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--faint:#a0a7b3;--paper:#15171a;--card:#1f2226;--line:#383d45;
--mark:#7db8f0;--bad:#ff9b93}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:60rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.35rem}h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
a{color:var(--mark)}a:focus-visible,summary:focus-visible{outline:3px solid var(--mark);outline-offset:2px}
.faint{color:var(--faint);font-size:.875rem}.bad{color:var(--bad)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top}td.n,th.n{text-align:right}
.wide{overflow-x:auto}.wide table{overflow-wrap:normal}.wide td:first-child{overflow-wrap:anywhere;min-width:6rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.25rem 0;font:.875rem/1.45 ui-monospace,monospace}
"""


def text(value: str) -> str:
    """Text of one line as content or attribute of an element."""
    return html.escape(one_line(value))


def block(value: str) -> str:
    """Text of many lines as the content of an element."""
    return html.escape(lines(value))


def anchor(event_id: str) -> str:
    """The name of the place of an event on its page."""
    return f"e-{safe_name(event_id)}"


def begin(title: str, style: str = "") -> str:
    """Everything before the content."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}{style}</style></head>\n<body>\n<h1>{text(title)}</h1>\n<main>\n"
    )


def end() -> str:
    """Everything behind it."""
    return "</main>\n</body></html>\n"
