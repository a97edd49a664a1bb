"""Where the page of a media goes."""

from pathlib import Path

import pytest

from annotator.cli.explaining import default_page
from annotator.types import MediaRef


@pytest.mark.parametrize(
    ("media_id", "name"),
    [
        ("clips/x.gif", "x.gif"),
        ("https://clips.example/a/b.gif?X-Amz-Signature=f00d#t=3", "b.gif"),
        ("https://ann:hunter2@clips.example/", "ann:***@clips.example"),
        ("2026/film.mp4", "film.mp4"),
        ("", "media"),
    ],
)
def test_a_page_is_called_after_its_media_and_lies_in_the_working_folder(media_id: str, name: str) -> None:
    assert default_page(MediaRef(media_id, "")) == Path(f"{name}.explained.html")
