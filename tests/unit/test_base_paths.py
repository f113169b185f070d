"""File names for any text, and every place under MOON_HOME."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moon.paths import Home, safe_name

TEXT = st.text(max_size=80) | st.text(alphabet="aA.-_/", max_size=6)


@given(TEXT)
@example("..")
@example("")
@example("a/b")
@example("nul\0")
def test_a_safe_name_is_one_plain_component(text):
    name = safe_name(text)
    assert name and "/" not in name and "\0" not in name and name not in (".", "..")
    assert name.isascii() and name.isprintable() and " " not in name
    assert len(name) <= 60 and not name.startswith((".", "-"))
    assert safe_name(text) == name


@given(TEXT, TEXT)
@example("a/b", "a.b")
@example("Main", "main")
@example("x" * 60, "x" * 61)
def test_different_texts_never_meet_not_even_where_case_is_folded(one, other):
    if one != other:
        assert safe_name(one).lower() != safe_name(other).lower()


@pytest.mark.parametrize("plain", ["main", "ops-2", "with_underscore"])
def test_plain_names_stay(plain):
    assert safe_name(plain) == plain


def test_the_home_is_named_or_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("MOON_HOME", str(tmp_path))
    assert Home.from_environment().root == tmp_path
    monkeypatch.setenv("MOON_HOME", "~/elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.from_environment().root == tmp_path / "elsewhere"
    monkeypatch.delenv("MOON_HOME")
    assert Home.from_environment().root == tmp_path / ".lilac_metaflora"


def test_every_place_lies_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("MOON_CONFIG", raising=False)
    home = Home(tmp_path)
    places = [getattr(home, name) for name, value in vars(Home).items() if isinstance(value, property)]
    assert len(places) > 10 and len(set(places)) == len(places)
    assert all(isinstance(each, Path) and each.is_relative_to(tmp_path) for each in places)
    assert home.rollover_journal("a", "b/../../c").parent == home.rollovers
    assert home.rollover_journal("a", "b") != home.rollover_journal("a/b", "")
