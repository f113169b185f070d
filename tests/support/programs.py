"""Programs that a test puts in the place of real ones."""

from __future__ import annotations

import sys
from pathlib import Path

# A `#!` line takes no path with a space in it. The shell reads the second line as a command, Python as a string.
HEAD = f"""#!/bin/sh
'''exec' "{sys.executable}" "$0" "$@"
' '''
"""


def write_program(path: Path, text: str) -> Path:
    """An executable file with this text."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def write_python_program(path: Path, source: str) -> Path:
    """An executable file that the Python of the tests runs."""
    return write_program(path, HEAD + source)
