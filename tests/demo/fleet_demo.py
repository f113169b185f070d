"""`make fleet-demo`: three hosts copy into one bucket, one of them is lost, and a fourth machine becomes it.

Everything real but the store: a server that speaks S3 (moto) on a loopback port, bin/moon-* as people run them, and a
temporary folder for each machine, removed at the end. Ends with 1 where it does not show what it promises.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT / "lib"), str(ROOT)]

from tests.support import events  # noqa: E402
from tests.support.buckets import Buckets, serving  # noqa: E402
from tests.support.moon import Moon  # noqa: E402
from tests.support.stores import SqliteStoreBuilder  # noqa: E402

HEARD = {
    "laptop": "The spare key of the observatory hangs behind the barometer in the east corridor",
    "server": "Backups of the weather mast run at four, and the tape is changed by Ingrid",
    "desk": "The ferry to Tromsø leaves from quay seven as long as the bridge is closed",
}
LOST, QUESTION = "laptop", "where does the spare key of the observatory hang?"


def say(text: str) -> None:
    print(text, flush=True)


def machine(folder: Path, name: str, buckets: Buckets) -> Moon:
    """A machine with an agent that heard something."""
    made = Moon(folder / name, buckets.environment())
    made.home.root.mkdir(parents=True, mode=0o700)
    lines = events.conversation("s1", 12)
    lines.append(events.message("s1-heard", HEARD[name]))
    lines.append(events.message("s1-noted", "Noted.", "assistant"))
    SqliteStoreBuilder(made.state_dir).put("agent:main:main", "s1", lines, used=1000)
    return made


def set_up(machines: dict[str, Moon], folder: Path) -> Path:
    """A key from the first machine; the others get its recipient."""
    key = folder / "moon.key"
    first, *others = machines.values()
    lines = first.ok("mirror", "--init", "s3://fleet/moon", "--identity", str(key)).stdout
    for each in (first, *others):
        each.home.config_file.write_bytes(lines)
        each.home.config_file.chmod(0o600)
    return key


def show(folder: Path, buckets: Buckets) -> bool:
    """The whole story; did the fourth machine know it?"""
    buckets.make("fleet")
    machines = {name: machine(folder, name, buckets) for name in HEARD}
    key = set_up(machines, folder)
    for name, each in machines.items():
        each.ok("snapshot")
        copied = each.ok("mirror", "--json").json()["details"][0]
        say(
            f"  {name}: archived, and {copied['objects']} objects ({copied['bytes']} bytes, sealed) put into the bucket"
        )
    some = machines["server"]
    say("  any of them sees all three (moon-status --fleet):")
    say("    " + some.ok("status", "--fleet").stdout.decode().rstrip().replace("\n", "\n    "))
    listed = some.ok("mirror", "--list", "--json").json()["details"]
    hosts = {Path(machines[name].home.root / "host.json"): name for name in HEARD}
    ids = {name: json.loads(path.read_bytes())["id"] for path, name in hosts.items()}
    assert {each["host"] for each in listed} == set(ids.values())
    shutil.rmtree(machines[LOST].folder)
    say(f"  {LOST} is gone, disk and all; what is asked of the others: {found(some)}")
    fourth = Moon(folder / "fourth", buckets.environment())
    fourth.folder.mkdir()
    restore = ("mirror", "--restore", str(fourth.home.root), "--from", "s3://fleet/moon", "--host", ids[LOST])
    fourth.ok(*restore, "--identity", str(key))
    say(f"  a fourth machine, restored from the bucket with the key: {QUESTION}")
    answer = found(fourth)
    say(f"    {answer}")
    fourth.ok("archive", "--verify")
    fourth.ok("mirror")
    say("  its archive is exact (moon-archive --verify), and it goes on copying as that host")
    return HEARD[LOST] in answer


def found(moon: Moon) -> str:
    """The best answer to the question, or that there is none that knows."""
    results = moon.ok("recall", QUESTION, "--json").json()["results"]
    best = results[0]["snippet"].replace("**", "") if results else ""
    return best if "barometer" in best else "nobody knows"


def main() -> int:
    started = time.monotonic()
    say("Three machines, one bucket:")
    with tempfile.TemporaryDirectory() as folder, serving() as buckets:
        knew = show(Path(folder), buckets)
    say(f"{'Done' if knew else 'IT DID NOT KNOW'}, in {time.monotonic() - started:.0f} s")
    return 0 if knew else 1


if __name__ == "__main__":
    raise SystemExit(main())
