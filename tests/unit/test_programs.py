"""Programs outside Moon: bounded in time and in what they may print."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moon.errors import LockBusy, ProgramAbsent
from moon.files import exclusively
from moon.programs import run

PYTHON = sys.executable
LIB = Path(__file__).resolve().parents[2] / "lib"
# A program that hangs must have begun before its time is over; a busy machine gets more of it.
LIMITS = (1, 5, 60)


def is_running(pid: int) -> bool:
    """Is it there, and more than a name in the table that nobody has collected yet?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().split(")")[1].split()[0] == "Z")


def test_output_code_and_input():
    program = "import sys; data = sys.stdin.buffer.read(); print(len(data)); print('e', file=sys.stderr); sys.exit(3)"
    done = run([PYTHON, "-c", program], timeout=30, input_bytes=b"x" * 1_000_000)
    assert (done.code, done.stdout, done.stderr) == (3, b"1000000\n", b"e\n")
    assert done.describe() == "ended with exit code 3: e"


def test_a_program_that_does_not_read_its_input():
    done = run([PYTHON, "-c", "print('done')"], timeout=30, input_bytes=b"x" * 5_000_000)
    assert (done.code, done.stdout) == (0, b"done\n")


def test_a_hanging_program_is_ended_with_its_children(tmp_path):
    note = tmp_path / "pid"
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "print('begun', flush=True); time.sleep(300)"
    )
    for limit in LIMITS:
        done = run([PYTHON, "-c", program, str(note)], timeout=limit)
        if done.stdout:
            break
    assert done.timed_out and done.code is None
    assert done.describe() == "gave no answer in time"
    child = int(note.read_text())
    deadline = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < deadline, "the grandchild was left behind"
        time.sleep(0.05)


def test_a_program_that_closes_its_output_and_hangs():
    done = run([PYTHON, "-c", "import os, time; os.close(1); os.close(2); time.sleep(300)"], timeout=2)
    assert done.timed_out


def test_a_child_that_keeps_the_pipe_open_does_not_hold_up_forever():
    for limit in LIMITS:
        done = run(["sh", "-c", "sleep 300 & echo parent"], timeout=limit)
        if done.stdout:
            break
    assert done.stdout == b"parent\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_is_cut_off(stream):
    program = f"import sys\nwhile True: sys.{stream}.write('x' * 65536)"
    done = run([PYTHON, "-c", program], timeout=60, max_output=1 << 20)
    assert done.overflowed and done.code is None
    assert len(done.stdout) + len(done.stderr) < 2 << 20


def test_both_pipes_full():
    program = "import sys\nfor _ in range(50): sys.stdout.write('o' * 65536); sys.stderr.write('e' * 65536)"
    done = run([PYTHON, "-c", program], timeout=60)
    assert done.code == 0 and len(done.stdout) == len(done.stderr) == 50 * 65536


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_text("x"), lambda path: path.mkdir()])
def test_what_cannot_be_started(tmp_path, make):
    make(tmp_path / "program")
    with pytest.raises(ProgramAbsent) as caught:
        run([str(tmp_path / "program")], timeout=5)
    assert "program" in caught.value.message


def test_a_script_without_its_interpreter(tmp_path):
    script = tmp_path / "program"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o700)
    with pytest.raises(ProgramAbsent):
        run([str(script)], timeout=5)


def test_a_file_that_is_no_program(tmp_path):
    script = tmp_path / "program"
    script.write_bytes(b"\x7fELF but not really")
    script.chmod(0o700)
    with pytest.raises(ProgramAbsent):
        run([str(script)], timeout=5)


@pytest.mark.parametrize("argument", ["nul\0", "half \ud83d", "x" * 5_000_000])
def test_arguments_that_no_program_can_get(argument):
    with pytest.raises(ProgramAbsent):
        run(["echo", argument], timeout=5)


def test_a_signal_is_a_code():
    done = run(["sh", "-c", "kill -9 $$"], timeout=10)
    assert done.code == -9


def test_a_program_that_outlives_its_caller_keeps_what_it_inherited(tmp_path):
    """So a lock on it tells that the program still runs."""
    lock, note = tmp_path / "lock", tmp_path / "pid"
    child = f"import os, time; print(os.getpid(), file=open({str(note)!r}, 'w'), flush=True); time.sleep(60)"
    caller = (
        "import sys; from pathlib import Path; from moon.files import exclusively; from moon.programs import run\n"
        f"with exclusively(Path({str(lock)!r})) as held:\n"
        f"    run([sys.executable, '-c', {child!r}], timeout=60, held=(held,))"
    )
    process = subprocess.Popen([PYTHON, "-c", caller], env={**os.environ, "PYTHONPATH": str(LIB)})
    while not (note.exists() and note.read_text().strip()):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert _is_locked(lock)
    os.kill(int(note.read_text()), signal.SIGKILL)
    while _is_locked(lock):
        time.sleep(0.02)


def _is_locked(path):
    try:
        with exclusively(path):
            return False
    except LockBusy:
        return True
