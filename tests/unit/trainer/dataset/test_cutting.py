from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ConfigError
from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY, align_faces
from annotator.recognition.crops import FaceCrop
from annotator.types import F32, U8
from trainer.dataset.cutting import crop_text, cut_face, encode_crop, read_crop_params, recipe_of
from trainer.dataset.findings import FoundFace


def smooth(height: int, width: int) -> U8:
    """Return a picture whose red grows to the right and whose green grows downwards."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 255, width)[None, :]
    picture[..., 1] = np.linspace(0, 255, height)[:, None]
    return picture


def found(landmarks: F32, box: tuple[float, float, float, float]) -> FoundFace:
    box_xyxy = np.array(box, np.float32)
    return FoundFace(0, 0.99, 100.0, box_xyxy, landmarks.astype(np.float32), np.zeros(128, np.float32))


def test_an_aligned_crop_of_112_without_margin_is_what_the_annotator_sees() -> None:
    picture = smooth(600, 800)
    face = found(ARCFACE_TEMPLATE_XY * 1.7 + [300, 200], (0, 0, 1, 1))
    expected, _ = align_faces(picture, face.landmarks_xy[None])
    assert np.abs(cut_face(picture, face, FaceCrop()).astype(int) - expected[0]).max() <= 1


def test_a_margin_shows_more_and_a_larger_side_shows_the_same_finer() -> None:
    picture = smooth(600, 800)
    face = found(ARCFACE_TEMPLATE_XY * 2 + [300, 200], (0, 0, 1, 1))
    plain = cut_face(picture, face, FaceCrop())
    wide = cut_face(picture, face, FaceCrop(side_px=112, margin=0.5))
    fine = cut_face(picture, face, FaceCrop(side_px=224))
    # With a half on each side, the template fills the middle half of the crop.
    assert np.abs(wide[28:84:2, 28:84:2].astype(int) - plain[1:112:4, 1:112:4]).max() <= 3
    assert np.abs(fine[::2, ::2].astype(int) - plain).max() <= 2


def test_a_box_is_stretched_to_the_square_with_its_margin() -> None:
    picture = smooth(500, 500)
    crop = cut_face(picture, found(ARCFACE_TEMPLATE_XY, (100, 200, 200, 400)), FaceCrop("box", 112, 0.1))
    left, right = picture[0, 90, 0], picture[0, 209, 0]
    top, bottom = picture[180, 0, 1], picture[419, 0, 1]
    assert abs(int(crop[50, 0, 0]) - int(left)) <= 2
    assert abs(int(crop[50, -1, 0]) - int(right)) <= 2
    assert abs(int(crop[0, 50, 1]) - int(top)) <= 2
    assert abs(int(crop[-1, 50, 1]) - int(bottom)) <= 2


def test_a_large_face_is_reduced_without_skipping_pixels() -> None:
    picture = np.zeros((2000, 2000, 3), np.uint8)
    picture[::2] = 255  # lines of one pixel: their mean is grey
    crop = cut_face(picture, found(ARCFACE_TEMPLATE_XY, (100, 100, 1900, 1900)), FaceCrop("box", 112, 0.0))
    assert np.abs(crop.astype(int) - 127).max() <= 2


def test_beyond_the_border_it_is_black() -> None:
    picture = np.full((100, 100, 3), 200, np.uint8)
    crop = cut_face(picture, found(ARCFACE_TEMPLATE_XY, (-100, 0, 100, 100)), FaceCrop("box", 112, 0.0))
    assert crop[50, 10].max() == 0
    assert crop[50, 100].min() == 200


def test_the_recipe_changes_with_what_changes_the_crop_and_the_bytes_with_nothing_else() -> None:
    face = found(ARCFACE_TEMPLATE_XY, (0, 0, 10, 10))
    moved = found(ARCFACE_TEMPLATE_XY + 1, (0, 0, 10, 10))
    recipes = {
        recipe_of("a", face, FaceCrop()),
        recipe_of("b", face, FaceCrop()),
        recipe_of("a", moved, FaceCrop()),
        recipe_of("a", face, FaceCrop(margin=0.1)),
        recipe_of("a", face, FaceCrop(side_px=224)),
        recipe_of("a", face, FaceCrop("box")),
    }
    assert len(recipes) == 6
    crop = smooth(112, 112)
    assert encode_crop(crop) == encode_crop(crop.copy())


@pytest.mark.parametrize("wrong", [{"side_px": 8}, {"side_px": 4096}, {"margin": -0.1}, {"margin": 2.0}])
def test_what_cannot_be_cut_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        FaceCrop(**wrong)  # type: ignore[arg-type] - wrong on purpose


def test_how_crops_are_cut_is_written_down_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "crop.json"
    path.write_text(crop_text(FaceCrop("box", 224, 0.1)))
    assert read_crop_params(path) == FaceCrop("box", 224, 0.1)
    for text in ("", "[]", '{"kind": "round"}', '{"kind": "box", "more": 1}', '{"side_px": 1000000}', "[" * 5000):
        path.write_text(text)
        with pytest.raises(ConfigError):
            read_crop_params(path)
    path.unlink()
    with pytest.raises(ConfigError, match="run `trainer prepare` again"):
        read_crop_params(path)
