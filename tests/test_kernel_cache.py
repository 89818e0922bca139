"""Machine code is kept where nobody else can write, or nowhere; checked on real folders."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

import npgradcam
from npgradcam.kernels.cache import usual_folder, why_not

pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no modes and no owners to check")
ROOT = Path(npgradcam.__file__).parents[1]
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give folders away")
NOBODY = 65534


@pytest.fixture
def mine() -> Iterator[Path]:
    """A folder of ours that nobody else can replace: in the home folder, since /tmp is everybody's."""
    try:
        folder = Path(mkdtemp(dir=Path.home(), prefix=".npgradcam-test-"))
    except OSError:
        pytest.skip("the home folder cannot be written")
    if why := why_not(folder):
        folder.rmdir()
        pytest.skip(f"no folder here is safe: {why}")
    yield folder
    shutil.rmtree(folder)


def test_a_folder_is_made_for_the_user_alone(mine: Path) -> None:
    before = os.umask(0)
    try:
        (mine / "below").mkdir(0o755)
        assert why_not(mine / "below" / "npgradcam") == ""
    finally:
        os.umask(before)
    assert (mine / "below" / "npgradcam").stat().st_mode & 0o777 == 0o700
    assert why_not(mine / "below" / "npgradcam") == ""


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o720, 0o704])
def test_a_folder_that_others_may_open_is_refused(mine: Path, mode: int) -> None:
    mine.chmod(mode)
    assert "open to others (chmod 700 closes it)" in why_not(mine)
    mine.chmod(0o700)
    assert why_not(mine) == ""


def test_a_link_is_refused_wherever_it_leads(mine: Path) -> None:
    (mine / "real").mkdir(0o700)
    (mine / "link").symlink_to(mine / "real")
    assert why_not(mine / "link").endswith("link is a link")
    (mine / "nowhere").symlink_to(mine / "gone")
    assert "cannot be made" in why_not(mine / "nowhere")
    (mine / "up").symlink_to(mine)  # a link above is followed: what counts is where the folder lies
    assert why_not(mine / "up" / "real") == ""


def test_a_file_in_its_place_is_refused(mine: Path) -> None:
    (mine / "file").touch()
    assert "cannot be made" in why_not(mine / "file")
    assert "cannot be made" in why_not(mine / "file" / "below")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703])
def test_a_folder_inside_one_that_everybody_may_write_is_refused(mine: Path, mode: int) -> None:
    """Also a sticky one: whoever comes first there makes the folder."""
    (mine / "open" / "deep" / "own").mkdir(0o700, parents=True)
    (mine / "link").symlink_to(mine / "open" / "deep")
    (mine / "open").chmod(mode)
    for folder in (mine / "open" / "deep" / "own", mine / "link" / "own", mine / "open" / "new"):
        assert f"lies in {mine / 'open'}, where everybody may write" in why_not(folder)


def test_a_group_of_ones_own_may_write_above(mine: Path) -> None:
    """Where every user has a group of one, folders are of mode 0775."""
    (mine / "below" / "own").mkdir(0o700, parents=True)
    (mine / "below").chmod(0o775)
    assert why_not(mine / "below" / "own") == ""


@as_root
@pytest.mark.parametrize("mode", [0o775, 0o1770, 0o720])
def test_a_folder_inside_one_that_another_group_may_write_is_refused(mine: Path, mode: int) -> None:
    (mine / "shared" / "own").mkdir(0o700, parents=True)
    os.chown(mine / "shared", -1, NOBODY)
    (mine / "shared").chmod(0o755)
    assert why_not(mine / "shared" / "own") == ""
    (mine / "shared").chmod(mode)
    assert f"lies in {mine / 'shared'}, where another group may write" in why_not(mine / "shared" / "own")


@as_root
def test_a_folder_of_another_user_is_refused_and_one_inside_it(mine: Path) -> None:
    (mine / "theirs" / "ours").mkdir(0o700, parents=True)
    os.chown(mine / "theirs", NOBODY, NOBODY)
    assert "theirs belongs to another user" in why_not(mine / "theirs")
    assert f"lies in {mine / 'theirs'}, which belongs to another user" in why_not(mine / "theirs" / "ours")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_the_usual_folder_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    for asked, base in (("/caches", "/caches"), ("", "/home/somebody/.cache"), ("here", "/home/somebody/.cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", asked)
        assert usual_folder() == Path(base) / "npgradcam"


# ------------------------------------------------------------------------------------------- processes

ADD = """
import numpy as np
from npgradcam import kernels
from numba import config
asked = config.CACHE_DIR
x = np.ones((1, 20000), np.float32)
with kernels.compilation("numba") as done:
    assert (kernels.add(x, x) == 2).all()
assert config.CACHE_DIR == asked  # functions of other people stay where they are
print(len(done.names), done.kept)
"""


def add(**variables: str) -> tuple[str, str]:
    """Run one small kernel in a fresh process; return what it said of its compilation, and stderr."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | variables
    done = subprocess.run([sys.executable, "-c", ADD], env=environment, cwd=ROOT, capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_kernels_are_kept_in_the_users_folder(mine: Path) -> None:
    assert add(XDG_CACHE_HOME=str(mine), HOME=str(mine)) == ("1 True", "")
    assert (mine / "npgradcam").stat().st_mode & 0o777 == 0o700
    assert list((mine / "npgradcam").rglob("compiled._add-*.nbc"))
    assert add(XDG_CACHE_HOME=str(mine), HOME=str(mine)) == ("0 True", "")  # the next process finds them


def test_a_folder_that_cannot_be_trusted_is_left_alone_and_one_line_says_so(mine: Path) -> None:
    (mine / "npgradcam").mkdir()
    (mine / "npgradcam").chmod(0o777)
    said, err = add(XDG_CACHE_HOME=str(mine))
    assert said == "1 False"  # compiled anew, kept nowhere, and computed all the same
    assert err.count("\n") == 1
    assert err.startswith(f"npgradcam: {mine / 'npgradcam'} is open to others (chmod 700 closes it), so compiled")
    assert "NUMBA_CACHE_DIR" in err
    assert not list((mine / "npgradcam").iterdir())


def test_numba_cache_dir_wins_and_is_not_looked_at(mine: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert add(XDG_CACHE_HOME=str(mine), NUMBA_CACHE_DIR=str(tmp_path)) == ("1 True", "")
    assert list(tmp_path.rglob("compiled._add-*.nbc"))
    assert not (mine / "npgradcam").exists()


def test_a_numba_cache_dir_that_cannot_be_written_is_one_line_and_nothing_is_kept(tmp_path: Path) -> None:
    """Numba by itself would keep its files in the package."""
    (tmp_path / "file").write_text("")
    before = set(Path(npgradcam.__file__).parent.rglob("*.nb?"))
    said, err = add(NUMBA_CACHE_DIR=str(tmp_path / "file" / "below"))
    assert said == "1 False"
    assert err.startswith(f"npgradcam: NUMBA_CACHE_DIR='{tmp_path}/file/below' cannot be written (")
    assert err.count("\n") == 1
    assert set(Path(npgradcam.__file__).parent.rglob("*.nb?")) == before


def test_a_cache_that_fills_up_does_not_end_the_run_and_one_line_says_so(mine: Path) -> None:
    """The system refuses every byte beyond the first 4096 of a file, as a full disk does."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        said, err = add(NUMBA_CACHE_DIR=str(mine))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert said == "1 False"
    assert re.match(rf"npgradcam: the cache {mine}(/checked)? failed \(File too large\), so compiled kernels", err)
    assert "set NUMBA_CACHE_DIR" in err
    assert err.count("\n") == 1
    assert not [path for path in mine.rglob("*") if ".tmp." in path.name]


@pytest.mark.parametrize("part", ["nbi", "nbc"])
def test_a_cache_that_is_damaged_is_written_anew(mine: Path, part: str) -> None:
    assert add(NUMBA_CACHE_DIR=str(mine)) == ("1 True", "")
    for path in mine.rglob(f"*.{part}"):
        path.write_bytes(path.read_bytes()[:9])
    assert add(NUMBA_CACHE_DIR=str(mine)) == ("1 True", "")
    assert add(NUMBA_CACHE_DIR=str(mine)) == ("0 True", "")
