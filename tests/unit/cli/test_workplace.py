"""What a command has in hand at once."""

import os

import pytest

from annotator.cli.workplace import _in_hand
from annotator.settings import Settings


@pytest.mark.parametrize(
    ("processors", "threads", "decoders"),
    [(1, None, 2), (2, None, 2), (16, None, 16), (16, 3, 3), (64, None, 16), (2, 32, 16)],
)
def test_so_many_media_are_decoded_at_once_as_processors_may_be_used_from_two_to_sixteen(
    monkeypatch: pytest.MonkeyPatch, processors: int, threads: int | None, decoders: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    assert _in_hand(Settings(threads=threads), keep_faces=True).decoders == decoders
