"""Who is named in the shared clips, as somebody has written down who is in them: nobody less, and nobody else."""

import csv
import json
from pathlib import Path

import pytest

from annotator.build import build_annotator
from annotator.media import expand_sources
from annotator.settings import load_settings
from annotator.types import MediaAnnotation

pytestmark = [pytest.mark.shared, pytest.mark.slow]

MISSED = Path(__file__).parents[1] / "data" / "names_missed_in_clips.json"

Names = set[tuple[str, str]]
"""File and person."""


@pytest.fixture(scope="module")
def named(shared_data: Path, cache_dir: Path) -> Names:
    """Who is named in which clip, with default settings."""
    annotator = build_annotator(load_settings(env_file=None, device="cpu", cache_dir=cache_dir))
    annotated = list(annotator.annotate(expand_sources([str(shared_data / "clips")])))
    found = [one for one in annotated if isinstance(one, MediaAnnotation)]
    assert len(found) == len(annotated)
    return {
        (one.media.uri.rpartition("/")[2], label.identity.name)
        for one in found
        for label in one.labels
        if label.identity is not None
    }


@pytest.fixture(scope="module")
def known(shared_data: Path) -> Names:
    """Who is in which clip, of the people whom the starter model knows."""
    with (shared_data / "clips.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(row["file"], person) for row in rows for person in row["people_in_gallery"].split(";") if person}


@pytest.fixture(scope="module")
def missed() -> Names:
    """Those of them who are not named, each for a reason that somebody has written down."""
    listed = json.loads(MISSED.read_text(encoding="utf-8"))
    assert all(one["reason"] for one in listed)
    return {(one["file"], one["person"]) for one in listed}


def test_people_of_the_model_are_named_in_the_clips_that_show_them(named: Names, known: Names, missed: Names) -> None:
    assert known - named == missed, "if more are found, take them off the list: they are to stay found"
    assert len(known & named) == 19


def test_nobody_is_named_who_is_not_in_the_clip(named: Names, known: Names) -> None:
    assert named <= known
