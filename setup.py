"""The one thing that pyproject.toml cannot say: a wheel carries the folders that lie beside `lib/` in a checkout."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
CARRIED = ("schemas", "systemd", "launchd")


class WithFolders(build_py):
    """Copies them to `moon/share/`, where `moon.resources` looks. An editable install reads the checkout itself."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        share = Path(self.build_lib) / "moon" / "share"
        shutil.rmtree(share, ignore_errors=True)
        for name in CARRIED:
            shutil.copytree(ROOT / name, share / name)


setup(cmdclass={"build_py": WithFolders})
