"""What both sides of the benchmark of speed get is made whole, or not at all, and of the clips that are there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.speed import inputs
from benchmarks.speed.inputs import FRAMES_OF_GIF, LONG_SIDE_PX, film, film_frames, frames_of, gif_frames
from benchmarks.speed.lines import LINES, NAMED, Scope, check_clips


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(inputs, "CACHE", folder)
    return folder


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of two GIFs that are large and lively enough, and one that is too short."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, frames in (("a", FRAMES_OF_GIF), ("b", FRAMES_OF_GIF + 2), ("short", 2)):
        write_gif(folder / f"{name}.gif", frames)
    return folder


def write_gif(path: Path, frames: int) -> None:
    levels = np.linspace(0, 255, frames).astype(np.uint8)
    pictures = [Image.fromarray(np.full((8, LONG_SIDE_PX, 3), level, np.uint8)) for level in levels]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])


def test_frames_are_ten_of_each_gif_that_is_lively_enough(cache: Path, clips: Path) -> None:
    assert len(frames_of(gif_frames(clips, 2))) == 2 * FRAMES_OF_GIF
    assert [path.name for path in cache.iterdir()] == [gif_frames(clips, 2).name]


def test_too_few_gifs_are_told_and_leave_nothing_behind(cache: Path, clips: Path) -> None:
    with pytest.raises(SystemExit, match=r"3 GIFs of at least 480 px .* which has 2: put more there, or say --clips"):
        gif_frames(clips, 3)
    assert not list(cache.iterdir())


def test_what_was_made_of_other_clips_is_not_taken_and_goes(cache: Path, clips: Path) -> None:
    of_an_older_program = cache / "gifs-2.npz"
    cache.mkdir()
    of_an_older_program.write_bytes(b"of no frames at all")
    former = gif_frames(clips, 2)
    assert gif_frames(clips, 2) == former
    (clips / "a.gif").unlink()
    with pytest.raises(SystemExit, match="which has 1"):
        gif_frames(clips, 2)
    write_gif(clips / "c.gif", FRAMES_OF_GIF)
    made = gif_frames(clips, 2)
    assert made != former
    assert list(cache.iterdir()) == [made]


def test_frames_of_one_count_do_not_take_the_place_of_another(cache: Path, clips: Path) -> None:
    made = {gif_frames(clips, 1), gif_frames(clips, 2)}
    assert set(cache.iterdir()) == made


def test_a_film_that_lacks_a_clip_is_not_begun(cache: Path, clips: Path) -> None:
    with pytest.raises(SystemExit, match=r"crowd_dinner\.mp4, short_hamilton_clip\.mp4, .* must be in "):
        film(clips, 1)
    (clips / "crowd_dinner.mp4").write_bytes(b"no film")
    with pytest.raises(SystemExit, match="must have 12 frames, and OpenCV reads 0"):
        film_frames(clips)
    assert not list(cache.iterdir())


@pytest.mark.parametrize("folder", ["empty", "not there"])
def test_without_clips_nothing_is_measured(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=r"There are no clips in .*: put GIFs there, or say --clips FOLDER"):
        check_clips(list(LINES), Scope(1, is_quick=False, folder=tmp_path / folder))


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", NAMED)
def test_a_line_says_which_clips_it_needs_by_name(clips: Path, name: str) -> None:
    with pytest.raises(SystemExit, match=f"{NAMED[name][0]}.* must be in"):
        check_clips([name], Scope(1, is_quick=True, folder=clips))


@pytest.mark.usefixtures("cache")
def test_lines_that_need_frames_say_where_there_are_too_few_gifs(clips: Path) -> None:
    scope = Scope(1, is_quick=True, folder=clips)
    check_clips(["clips", "giphy"], scope)
    with pytest.raises(SystemExit, match="which has 2"):
        check_clips(["detect-20px"], scope)


def test_the_lines_that_need_clips_are_lines() -> None:
    assert LINES.keys() >= NAMED.keys()
