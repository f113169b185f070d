"""Coverage-guided fuzzing: bytes that a fuzzer makes up while it watches which lines of Moon they reach (`atheris`).

    python tests/attack/fuzz.py --minutes 20                       each target so long, one after the other
    python tests/attack/fuzz.py --minutes 5 --targets ledger query
    python tests/attack/fuzz.py --replay FILE --targets ledger     one input again, with its traceback

Targets and what must hold in them: `fuzz_targets.py`. What reached something new is kept in `.cache/fuzz/<target>`, and
the next run begins with it. A finding does not end the run: the first input of each kind goes to `--findings`, and the
exit code is 1. Every finding that was mended is a case in `tests/unit/test_fuzz_findings.py`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose files have the names of modules that others import.
sys.path[0:1] = [str(ROOT), str(ROOT / "lib")]

MEMORY = Path("/dev/shm")
NAMES = ("events", "query", "documents", "redaction", "ledger")
EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)")
COVERED = re.compile(r" cov: (\d+) ")


def fuzz(name: str, arguments: list[str], findings: Path) -> None:
    """In a process of its own: never returns, as libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["moon"], enable_loader_override=False):
        from tests.attack.fuzz_targets import TARGETS

    target = TARGETS[name]
    seen: set[str] = set()

    def test(data: bytes) -> None:
        try:
            target.test(data)
        except Exception as error:  # whatever it is, it is a finding
            kind = kind_of(error)
            if kind not in seen:
                seen.add(kind)
                path = findings / f"{name}-{len(seen):02d}"
                path.write_bytes(data)
                path.with_suffix(".txt").write_text(f"{kind}\n{traceback.format_exc()}", errors="backslashreplace")
                print(f"\nfinding {path}: {kind}", file=sys.stderr, flush=True)

    atheris.Setup([sys.argv[0], *arguments], test)
    atheris.Fuzz()


def kind_of(error: BaseException) -> str:
    """Where and as what something was raised: two of one kind are one finding."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if "/moon/" in each.filename or "/tests/" in each.filename]
    where = [f"{Path(each.filename).name}:{each.lineno}" for each in ours[-2:]]
    return f"{type(error).__name__} at {' '.join(where)}"


def run(name: str, minutes: float, seed: int, findings: Path) -> tuple[int, int, list[Path]]:
    """Fuzz one target: (executions, places reached, findings)."""
    from tests.attack.fuzz_targets import TARGETS

    target = TARGETS[name]
    corpus = ROOT / ".cache" / "fuzz" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (corpus / f"seed-{number:03d}").write_bytes(data)
    words = findings / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(each)}"\n' for each in target.words))
    scratch = tempfile.TemporaryDirectory(prefix="moon-fuzz-", dir=MEMORY if MEMORY.is_dir() else None)
    limits = (f"-max_total_time={int(minutes * 60)}", f"-max_len={target.longest}", "-rss_limit_mb=2048", "-timeout=60")
    options = (f"-seed={seed}", "-print_final_stats=1", f"-artifact_prefix={findings}/{name}-dead-")
    dictionary = [f"-dict={words}"] if target.words else []
    child = subprocess.Popen(
        [sys.executable, __file__, "--child", name, "--findings", findings, corpus, *limits, *options, *dictionary],
        env={**os.environ, "TMPDIR": scratch.name},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    executed = covered = 0
    assert child.stderr is not None
    with scratch, child, (findings / f"{name}.log").open("w") as log:
        for line in child.stderr:
            log.write(line)
            if line.startswith("finding "):
                print(f"  {line.strip()}", flush=True)
            if found := EXECUTED.search(line):
                executed = int(found[1])
            if found := COVERED.search(line):
                covered = int(found[1])
    found_files = [*findings.glob(f"{name}-[0-9][0-9]"), *findings.glob(f"{name}-dead-*")]
    if child.returncode and not found_files:
        print(f"  {name}: the fuzzer ended with {child.returncode}, see {findings / name}.log", file=sys.stderr)
        found_files.append(findings / f"{name}.log")
    return executed, covered, sorted(found_files)


def _escaped(word: str) -> str:
    """As libFuzzer reads a dictionary."""
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in word.encode())


def main() -> int:
    """Fuzz, and print a line of figures for each target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", nargs="*", default=list(NAMES), choices=NAMES)
    parser.add_argument("--findings", type=Path, default=ROOT / ".cache" / "fuzz" / "findings")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    options.findings.mkdir(parents=True, exist_ok=True)
    if options.child:
        fuzz(options.child, rest, options.findings)
    if rest:
        parser.error(f"not understood: {' '.join(rest)}")
    if options.replay:
        from tests.attack.fuzz_targets import TARGETS

        TARGETS[options.targets[0]].test(options.replay.read_bytes())
        return 0
    found = 0
    for name in options.targets:
        for old in options.findings.glob(f"{name}-*"):
            old.unlink()
        executed, covered, findings = run(name, options.minutes, options.seed, options.findings)
        found += len(findings)
        print(f"fuzz {name}, seed {options.seed}, {options.minutes:g} min: {executed} executions, "
              f"{covered} places reached, {len(findings)} findings", flush=True)  # fmt: skip
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
