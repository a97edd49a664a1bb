"""Photographs that are none: what Pillow opens of its own accord is not opened here."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from annotator.errors import UndecodableMediaError
from annotator.recognition.photographs import decode_picture, read_picture
from trainer.checking import photograph_problem

DRAWN_BY_GHOSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that appears once Ghostscript has been started."""
    programs, started = tmp_path / "programs", tmp_path / "started"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\n: > {started}\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow looks for it once
    return started


def test_a_photograph_that_is_postscript_starts_no_ghostscript(started: Path, tmp_path: Path) -> None:
    photograph = tmp_path / "portrait.jpg"
    photograph.write_bytes(DRAWN_BY_GHOSTSCRIPT)
    with pytest.raises(UndecodableMediaError, match="is no JPEG, PNG or WebP"):
        read_picture(photograph)
    with pytest.raises(UndecodableMediaError, match="is no JPEG, PNG or WebP"):
        decode_picture(DRAWN_BY_GHOSTSCRIPT, name="The picture")
    assert "is no JPEG, PNG or WebP" in str(photograph_problem(photograph))
    assert not started.exists()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_photographs_are_is_read_whatever_it_is_called(form: str, tmp_path: Path) -> None:
    photograph = tmp_path / "portrait.eps"
    Image.new("RGB", (20, 10), "white").save(photograph, form)
    assert np.array_equal(read_picture(photograph), np.full((10, 20, 3), 255, np.uint8))
    assert photograph_problem(photograph) is None


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_pictures_of_other_kinds_are_no_photographs(form: str) -> None:
    content = BytesIO()
    Image.new("RGB", (20, 10)).save(content, form)
    with pytest.raises(UndecodableMediaError, match="is no JPEG, PNG or WebP"):
        decode_picture(content.getvalue(), name="portrait.jpg")
