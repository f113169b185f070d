"""`make picture`: docs/pictures/terminal.svg, what two commands show a person in a terminal, from a real run.

The scene is that of `make demo`. The commands write to a pseudo-terminal, as they would to a person, and rich draws
what came out, without the fonts that it would ask the net for.
"""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parent))
from demo import REPO, Scene

PICTURE = REPO / "docs" / "pictures" / "terminal.svg"
WIDTH = 112
COMMANDS = (
    ("moon-archive", "--list"),
    ("moon-recall", "--limit", "2", "Which tolerance holds for the barometers?"),
)
# The frame of rich without its fonts from the net.
FRAME = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="moon-archive --list and moon-recall in a terminal">
<style>{styles} .{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; line-height: {line_height}px; }}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""  # noqa: E501


def shown(scene: Scene, command: tuple[str, ...]) -> str:
    """What a command writes to a terminal that is `WIDTH` wide. Raises `CalledProcessError`."""
    ours, theirs = pty.openpty()
    environment = {**scene.environment("sqlite"), "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    with subprocess.Popen(
        [str(REPO / "bin" / command[0]), *command[1:]],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        text = _read_all(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return text.replace("\r\n", "\n").replace(str(scene.home), "~/.lilac_metaflora")


def _read_all(descriptor: int) -> str:
    data = b""
    with open(descriptor, "rb", buffering=0) as stream:
        try:
            while part := stream.read(65536):
                data += part
        except OSError:
            pass  # Linux says so when the last writer closed the terminal.
    return data.decode()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="moon-picture-") as folder:
        scene = Scene(Path(folder))
        scene.run("moon-sample")
        console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        for command in COMMANDS:
            words = " ".join(f'"{each}"' if " " in each else each for each in command)
            console.print(Text(f"$ {words}", style="bold"))
            console.print(Text.from_ansi(shown(scene, command)))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(console.export_svg(title="", theme=MONOKAI, code_format=FRAME, unique_id="moon"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
