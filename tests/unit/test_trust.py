"""Moon obeys no file that somebody else may have written."""

from __future__ import annotations

import grp
import os
import pwd
from types import SimpleNamespace

import pytest

from moon import config as configuration
from moon.paths import Home
from moon.trust import NotTrusted, refuse_what_others_write


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    made.root.mkdir(mode=0o700)
    made.config_file.write_text("openclaw: {bin: /bin/false}\n")
    made.config_file.chmod(0o600)
    return made


def refused(home: Home) -> NotTrusted:
    with pytest.raises(NotTrusted) as caught:
        configuration.load(home)
    assert caught.value.exit_code == 78
    return caught.value


def test_a_configuration_of_the_user_alone_is_read(home):
    for mode in (0o600, 0o640, 0o644, 0o400):
        home.config_file.chmod(mode)
        assert configuration.load(home).openclaw.bin == "/bin/false"


@pytest.mark.parametrize("mode", [0o666, 0o662, 0o646])
def test_a_configuration_that_everybody_may_write_is_refused_with_the_remedy(home, mode):
    configuration.load(home)  # a cache of better days does not help
    home.config_file.chmod(mode)
    error = refused(home)
    assert f"(mode {mode:04o})" in error.message and error.path == str(home.config_file)
    assert f"chmod go-w {home.config_file}" in error.hint


def test_a_home_that_everybody_may_write_is_refused(home):
    home.root.chmod(0o777)
    assert f"chmod go-w {home.root}" in refused(home).hint


def test_a_configuration_elsewhere_is_held_to_the_same(home, tmp_path, monkeypatch):
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "moon.yaml").write_text("")
    monkeypatch.setenv("MOON_CONFIG", str(folder / "moon.yaml"))
    folder.chmod(0o777)
    assert str(folder) in refused(home).message
    folder.chmod(0o1777)  # like /tmp: nobody can replace what is not theirs
    configuration.load(home)


def test_what_belongs_to_another_user_is_refused(home, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)
    if os.getuid() == 0:  # what root owns is as good as one's own, so let it belong to somebody else
        os.chown(home.root, 12345, -1)
    error = refused(home)
    assert "belongs to another user" in error.message and "chown" in error.hint


@pytest.mark.parametrize(
    ("members", "name", "good"), [([], "moon", True), (["eve"], "moon", False), ([], "staff", False)]
)
def test_a_group_is_the_users_own_or_it_is_others(home, monkeypatch, members, name, good):
    home.config_file.chmod(0o664)
    group = home.config_file.stat().st_gid
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name="moon", pw_gid=group))
    monkeypatch.setattr(grp, "getgrgid", lambda gid: SimpleNamespace(gr_gid=gid, gr_name=name, gr_mem=members))
    if good:
        refuse_what_others_write(home.config_file, "the configuration")
    else:
        refused(home)


def test_what_is_absent_is_no_matter(tmp_path):
    refuse_what_others_write(tmp_path / "none", "the configuration")
