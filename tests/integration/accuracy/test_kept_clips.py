"""A run that draws and annotates clips is interrupted, and goes on."""

from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest

from annotator.accuracy import kept as kept_module
from annotator.accuracy.kept import KeptClips
from annotator.accuracy.scenes import Scene, plan_scene
from annotator.accuracy.tracks import ShownClip
from annotator.build import build_annotator
from annotator.errors import ConfigError
from annotator.pipeline import Annotator
from annotator.settings import load_settings

pytestmark = [pytest.mark.shared, pytest.mark.slow]

CLIPS_A_PART = 3
"""Instead of 8: what is asked is how parts go together, and clips are drawn up to three times."""
CLIPS = CLIPS_A_PART + 2


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "CLIPS_A_PART", CLIPS_A_PART)


@pytest.fixture(scope="module")
def annotator(cache_dir: Path) -> Annotator:
    return build_annotator(load_settings(env_file=None, device="cpu", threads=2, cache_dir=cache_dir))


@pytest.fixture
def photographs(shared_data: Path, tmp_path: Path) -> dict[int, Path]:
    folders = sorted((shared_data / "people" / "gallery").iterdir())[:CLIPS]
    (tmp_path / "photographs").mkdir()
    return {
        number: Path(copyfile(min(folder.iterdir()), tmp_path / "photographs" / f"{number}.jpg"))
        for number, folder in enumerate(folders)
    }


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [plan_scene(f"clip{number:02}", [number], others=[], seed=number) for number in range(CLIPS)]


def told(clips: list[ShownClip]) -> list[object]:
    """Return what was found, to be compared."""
    return [
        (clip.scene, clip.faces, [(one.photograph, one.spans, one.evidence.embeddings.tolist()) for one in clip.tracks])
        for clip in clips
    ]


def interrupted_after(clips: int) -> Callable[[int], None]:
    """Return what stands for Ctrl-C once so many clips are there."""
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if done >= clips:
            raise KeyboardInterrupt

    return advance


def test_the_next_run_draws_only_what_is_missing_and_finds_the_same(
    annotator: Annotator, photographs: dict[int, Path], scenes: list[Scene], tmp_path: Path
) -> None:
    kept = KeptClips(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        kept.show(scenes, photographs, annotator, advance=interrupted_after(CLIPS_A_PART + 1))
    (first,) = (tmp_path / "kept").iterdir()
    written = first.stat().st_mtime_ns

    steps: list[int] = []
    shown = kept.show(scenes, photographs, annotator, advance=steps.append)
    were_kept = steps[0]
    assert were_kept in {CLIPS_A_PART, CLIPS - CLIPS_A_PART}, "clips come as they are drawn, not in the order of parts"
    assert steps[1:] == [1] * (CLIPS - were_kept)
    assert first.stat().st_mtime_ns == written
    assert [clip.scene for clip in shown] == scenes
    assert sum(len(clip.tracks) for clip in shown) > CLIPS // 2

    anew = KeptClips(tmp_path / "others").show(scenes, photographs, annotator)
    for one, other in zip(shown, anew, strict=True):
        assert one.faces == other.faces
        assert [track.spans for track in one.tracks] == [track.spans for track in other.tracks]
        for mine, its in zip(one.tracks, other.tracks, strict=True):
            np.testing.assert_allclose(mine.evidence.embeddings, its.evidence.embeddings, atol=0.01)

    steps.clear()
    assert told(kept.show(scenes, photographs, annotator, advance=steps.append)) == told(shown)
    assert steps == [CLIPS], "nothing is drawn twice"


def test_only_clips_of_a_photograph_that_has_changed_are_drawn_anew(
    annotator: Annotator, photographs: dict[int, Path], scenes: list[Scene], tmp_path: Path
) -> None:
    kept = KeptClips(tmp_path / "kept")
    kept.show(scenes, photographs, annotator)
    copyfile(photographs[0], photographs[CLIPS_A_PART])
    steps: list[int] = []
    kept.show(scenes, photographs, annotator, advance=steps.append)
    assert steps == [CLIPS_A_PART, 1, 1]
    photographs[0].unlink()
    with pytest.raises(ConfigError, match=r"0\.jpg"):
        kept.show(scenes, photographs, annotator)


def test_a_fresh_run_draws_all_anew_and_keeps_it(
    annotator: Annotator, photographs: dict[int, Path], scenes: list[Scene], tmp_path: Path
) -> None:
    few = scenes[:2]
    KeptClips(tmp_path).show(few, photographs, annotator)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="--fresh"):
        KeptClips(tmp_path).show(few, photographs, annotator)
    steps: list[int] = []
    KeptClips(tmp_path, is_fresh=True).show(few, photographs, annotator, advance=steps.append)
    assert steps == [0, 1, 1]
    KeptClips(tmp_path).show(few, photographs, annotator, advance=steps.append)
    assert steps == [0, 1, 1, 2]
