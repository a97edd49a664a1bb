from pathlib import Path

import numpy as np

from trainer.dataset.findings import Content, FileStamp, Findings, FoundFace
from trainer.dataset.hashing import Appearance

LOOK = Appearance(2**64 - 1, 1, np.arange(256, dtype=np.uint8).reshape(16, 16))
FACE = FoundFace(
    0,
    0.97,
    81.5,
    np.array([1, 2, 3, 4], np.float32),
    np.arange(10, dtype=np.float32).reshape(5, 2),
    np.linspace(-1, 1, 128, dtype=np.float32),
)


def filled(path: Path) -> None:
    with Findings(path, spec={"detector": "a"}) as findings:
        findings.add([FileStamp("A/1.jpg", 10, 20, "x")], [Content("x", (640, 480), LOOK, (FACE,))])


def test_what_was_found_is_there_again_after_it_was_closed(tmp_path: Path) -> None:
    filled(tmp_path / "f.db")
    with Findings(tmp_path / "f.db", spec={"detector": "a"}) as findings:
        content = findings.contents()["x"]
        assert findings.stamps() == {"A/1.jpg": FileStamp("A/1.jpg", 10, 20, "x")}
    (face,) = content.faces
    assert (content.size_wh, content.appearance.hash64, content.appearance.mirrored64) == ((640, 480), 2**64 - 1, 1)
    assert (face.number, face.score, face.face_px) == (0, 0.97, 81.5)
    assert np.array_equal(content.appearance.sketch, LOOK.sketch)
    assert np.array_equal(face.landmarks_xy, FACE.landmarks_xy)
    assert np.array_equal(face.embedding, FACE.embedding)
    assert np.array_equal(face.box_xyxy, FACE.box_xyxy)


def test_another_detector_drops_what_was_found_but_not_which_crops_there_are(tmp_path: Path) -> None:
    filled(tmp_path / "f.db")
    with Findings(tmp_path / "f.db", spec={"detector": "a"}) as findings:
        findings.confirm_crops({"train_dataset/A/1.jpg": "recipe"})
    with Findings(tmp_path / "f.db", spec={"detector": "b"}) as findings:
        assert findings.known() == set()
        assert findings.stamps() == {}
        assert findings.crops() == {"train_dataset/A/1.jpg": "recipe"}


def test_a_crop_that_was_announced_and_not_confirmed_has_no_recipe(tmp_path: Path) -> None:
    with Findings(tmp_path / "f.db") as findings:
        findings.announce_crops({"a.jpg": "", "b.jpg": ""})
        findings.confirm_crops({"a.jpg": "recipe"})
        assert findings.crops() == {"a.jpg": "recipe", "b.jpg": ""}
        findings.forget_crops(["a.jpg"])
        assert findings.crops() == {"b.jpg": ""}
