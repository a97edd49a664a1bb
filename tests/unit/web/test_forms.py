"""Numbers that forms send: written otherwise than by our pages, they are none."""

import pytest

from annotator.web.errors import WebError
from annotator.web.forms import chosen_tracks, dashed_numbers, track_key, which_face, whole_number

NO_NUMBERS = ["", " 1", "+1", "-1", "1.0", "1_0", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT TWO}", "1" * 5000]


@pytest.mark.parametrize("given", NO_NUMBERS)
def test_what_is_no_plain_number_is_none(given: str) -> None:
    assert whole_number(given) is None
    assert dashed_numbers(f"{given}-1", 9, 9) is None


@pytest.mark.parametrize(("given", "number"), [("0", 0), ("2147483647", 2**31 - 1), ("2147483648", None), ("007", 7)])
def test_a_number_is_taken_up_to_its_bound(given: str, number: int | None) -> None:
    assert whole_number(given) == number


@pytest.mark.parametrize("given", ["1", "1-2-3", "-", "1--2", "9223372036854775808-0", "0-32768"])
def test_what_is_no_track_is_refused(given: str) -> None:
    with pytest.raises(WebError, match="is no track"):
        track_key(given)


def test_the_tracks_that_are_chosen_are_those_whose_boxes_are_ticked() -> None:
    form = {"csrf": "x", "track-12-0": "1", "track-12-1": "", "track-3-4": "1"}
    assert [track_key(one) for one in chosen_tracks(form)] == [(12, 0), (3, 4)]
    with pytest.raises(WebError, match="Choose"):
        chosen_tracks({"track-1-1": ""})


@pytest.mark.parametrize(("given", "face"), [("", None), ("  ", None), ("1", 1), ("50", 50)])
def test_a_face_is_a_number_from_the_left_or_not_said(given: str, face: int | None) -> None:
    assert which_face(given) == face


@pytest.mark.parametrize("given", ["0", "51", "first", "1" * 50])
def test_another_face_is_refused(given: str) -> None:
    with pytest.raises(WebError, match="from 1, the leftmost, to 50"):
        which_face(given)
