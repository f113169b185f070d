"""moon-status --plot and --html over a real home."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support.events import header, line, message
from tests.support.moon import Moon
from tests.support.stores import NOW_MS, SqliteStoreBuilder

from moon.clock import format_ms


def answer(number: int, tokens: int) -> bytes:
    when = format_ms(NOW_MS - (40 - number) * 3_600_000)
    said = {
        "role": "assistant",
        "content": [{"type": "text", "text": f"answer {number}"}],
        "usage": {"totalTokens": tokens},
    }
    return line({"type": "message", "id": f"a{number}", "parentId": None, "timestamp": when, "message": said})


@pytest.fixture(scope="module")
def moon(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    made = Moon(tmp_path_factory.mktemp("pictures"))
    store = SqliteStoreBuilder(made.state_dir)
    for name in ("one", "two <b>"):
        events = [header(name), message("q", "how full is it?"), *(answer(n, 1_000 * n) for n in range(1, 40))]
        store.put(f"agent:main:{name}", name, events, used=40_000, window=64_000, budget=48_000)
    made.ok("sample")
    made.ok("snapshot")
    return made


def test_plot_of_a_session_shows_its_thresholds_and_what_was_done(moon: Moon) -> None:
    plot = moon.ok("status", "--plot", "agent:main:one").stdout.decode()
    assert "39000 of 48000 tokens" in plot
    assert "80% ┤" in plot
    assert "a" in plot.split("└")[1].split("\n")[0]
    assert moon.ok("status", "--plot").stdout.count(b"tokens at the last") == 2
    unknown = moon.run("status", "--plot", "agent:main:three")
    assert unknown.code == 1
    assert "did you mean agent:main:one?" in unknown.stderr


def test_page_lists_conversations_that_open_and_is_not_made_twice(moon: Moon, tmp_path: Path) -> None:
    target = tmp_path / "moon page.html"
    moon.ok("status", "--html", str(target))
    folder = tmp_path / "moon page-conversations"
    pages = sorted(folder.iterdir())
    assert len(pages) == 2
    text = target.read_text()
    assert all(f'href="moon%20page-conversations/{page.name}"' in text for page in pages)
    assert all(page.read_text().count("<article") == 40 for page in pages)
    assert "<b>" not in text
    before = [page.stat().st_mtime_ns for page in pages]
    moon.ok("status", "--html", str(target), "--conversations", "1")
    assert [page.stat().st_mtime_ns for page in pages] == before
    assert {oct(path.stat().st_mode & 0o777) for path in (target, *pages)} == {"0o600"}


def test_page_into_a_folder_that_is_not_there_is_named(moon: Moon, tmp_path: Path) -> None:
    done = moon.run("status", "--html", str(tmp_path / "no" / "moon.html"))
    assert done.code == 2
    assert str(tmp_path / "no") in done.stderr


def test_without_openclaw_the_curves_are_of_what_was_archived_and_a_damaged_archive_is_told_on_the_page(
    moon: Moon, tmp_path: Path
) -> None:
    copied = moon.copy(tmp_path / "copy")
    shutil.rmtree(copied.state_dir)
    archive = next(copied.home.raw.rglob("one.*.jsonl"), None) or next(copied.home.raw.rglob("*.jsonl"))
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    for _ in range(2):  # a page with something missing does not stand for good
        copied.ok("status", "--html", str(tmp_path / "moon.html"))
        assert "<polyline" in (tmp_path / "moon.html").read_text()
        pages = [page.read_text() for page in (tmp_path / "moon-conversations").iterdir()]
        assert sum('<p class="bad">archives:' in page for page in pages) == 1
    copied.ok("archive", "--repair", "--force")


def test_plot_shows_the_thresholds_that_hold_for_the_session(moon: Moon, tmp_path: Path) -> None:
    copied = moon.copy(tmp_path / "copy")
    policy = "policies: [{match: {session: 'agent:*:one'}, thresholds: {archive: 0.3, prune: 0.4, distill: 0.5}}]\n"
    copied.home.config_file.write_text(policy)
    assert "30% ┤" in copied.ok("status", "--plot", "agent:main:one").stdout.decode()
    assert "80% ┤" in copied.ok("status", "--plot", "two <b>").stdout.decode()
