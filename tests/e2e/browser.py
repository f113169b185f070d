"""A headless Chromium on the loopback interface: open a page, look at it, press keys. Nothing of it outlives the block.

with Browser(folder) as browser:
    browser.open(path); browser.press("Tab"); browser.value("document.title")
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import connect

PATIENCE = 60.0
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
KEYS = {"Tab": 9, "Enter": 13, "Space": 32}


def find_chromium() -> str:
    """The program, or "" where this machine has none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), "")


class Browser:
    """One window. `messages` are what the pages said on the console, `dialogs` what they wanted to ask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messages: list[str] = []
        self.dialogs: list[str] = []
        self._count = 0

    def __enter__(self) -> Browser:
        profile = self.folder / "profile"
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        flags += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "--allow-file-access-from-files"]
        # No page is to reach anything: every name leads nowhere.
        flags += ["--host-resolver-rules=MAP * ~NOTFOUND", "about:blank"]
        self._process = subprocess.Popen(
            [find_chromium(), *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._connection = connect(self._address(profile), proxy=None, max_size=None)
        except BaseException:
            self._process.kill()
            raise
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            self.ask("Browser.close")
        self._connection.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    @staticmethod
    def _address(profile: Path) -> str:
        """Where the first page listens, once the browser has written its port down."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                port = (profile / "DevToolsActivePort").read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                    return str(
                        next(each for each in json.load(answer) if each["type"] == "page")["webSocketDebuggerUrl"]
                    )
            except (OSError, StopIteration, IndexError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One request of the DevTools protocol; what pages say meanwhile is noted."""
        self._count += 1
        self._connection.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            frame = json.loads(self._connection.recv(timeout=PATIENCE))
            self._note(frame)
            if frame.get("id") == self._count:
                assert "error" not in frame, frame
                answer: dict[str, Any] = frame["result"]
                return answer

    def _note(self, frame: dict[str, Any]) -> None:
        method, said = frame.get("method"), frame.get("params", {})
        if method == "Page.javascriptDialogOpening":
            self.dialogs.append(said["message"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.messages.append(json.dumps(said)[:300])
        elif method == "Log.entryAdded":
            self.messages.append(said["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not said["request"]["url"].startswith(("file:", "data:")):
            self.messages.append(f"asked for {said['request']['url']}")

    def look(self, width: int, dark: bool) -> None:
        """How wide the window is, and which colours its user likes."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path, anchor: str = "") -> None:
        """Show a file, at a place in it."""
        self.ask("Page.navigate", url="about:blank")
        self.ask("Page.navigate", url=path.as_uri() + (f"#{anchor}" if anchor else ""))
        until = time.monotonic() + PATIENCE
        while self.value("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < until, f"{path} does not load"
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """What an expression is on the page; the debugger's, whatever the page itself may run."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def press(self, key: str) -> None:
        """A key, down and up."""
        what = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == "Space" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **what, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **what)

    def picture(self, path: Path) -> Path:
        """Take a screenshot."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
        return path
