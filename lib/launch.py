"""Entry point of every executable: `python lib/launch.py <tool> [arguments]`. Must parse on any Python 3."""

import sys

if sys.hexversion < 0x030A0000:
    sys.stderr.write("moon: Python 3.10 or later is needed, not " + sys.version.split()[0] + "\n")
    sys.stderr.write("hint: run 'make venv PYTHON=python3.12' in the checkout, or set MOON_PYTHON\n")
    raise SystemExit(78)

from moon.cli.launch import main

raise SystemExit(main())
