import dataclasses
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.demo import portraits as module
from annotator.demo.clips import draw_clips
from annotator.demo.portraits import PORTRAITS, Package, Portrait, fetch_portraits, pip_download
from annotator.errors import ConfigError


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


class DrawnPackages:
    """Stands for pip: a source archive with two pictures and a wheel with one."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.calls: list[str] = []

    def __call__(self, package: Package, folder: Path) -> Path:
        self.calls.append(package.requirement)
        members = {name: content for name, content in self.contents.items() if package.requirement.startswith(name[:4])}
        if "--only-binary" in package.options:
            path = folder / "package.whl"
            with zipfile.ZipFile(path, "w") as wheel:
                for name, content in members.items():
                    wheel.writestr(name, content)
            return path
        path = folder / "package.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name, content in members.items():
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
        return path


@pytest.fixture
def drawn_portraits(monkeypatch: pytest.MonkeyPatch) -> tuple[Portrait, ...]:
    """The portraits under their real keys, with drawn pictures in made-up packages."""
    drawn = []
    for number, portrait in enumerate(PORTRAITS):
        package = dataclasses.replace(portrait.package, requirement=f"{'wheel' if number == 2 else 'source'}==1")
        member = f"{package.requirement[:5]}-1/{portrait.key}.png"
        digest = hashlib.sha256(png(number)).hexdigest()
        drawn.append(dataclasses.replace(portrait, package=package, member=member, sha256=digest))
    monkeypatch.setattr(module, "PORTRAITS", tuple(drawn))
    return tuple(drawn)


def contents_of(portraits: tuple[Portrait, ...]) -> dict[str, bytes]:
    return {portrait.member: png(number) for number, portrait in enumerate(portraits)}


def test_each_package_is_fetched_once_and_nothing_again(tmp_path: Path, drawn_portraits: tuple[Portrait, ...]) -> None:
    packages = DrawnPackages(contents_of(drawn_portraits))
    first = fetch_portraits(tmp_path, download=packages)
    assert packages.calls == ["source==1", "wheel==1"]
    assert {key: path.read_bytes() for key, path in first.items()} == {
        portrait.key: png(number) for number, portrait in enumerate(drawn_portraits)
    }
    assert fetch_portraits(tmp_path, download=packages) == first
    assert len(packages.calls) == 2


def test_a_portrait_that_was_changed_is_fetched_again(tmp_path: Path, drawn_portraits: tuple[Portrait, ...]) -> None:
    packages = DrawnPackages(contents_of(drawn_portraits))
    paths = fetch_portraits(tmp_path, download=packages)
    paths["collins"].write_bytes(b"something else")
    fetch_portraits(tmp_path, download=packages)
    assert packages.calls == ["source==1", "wheel==1", "wheel==1"]
    assert paths["collins"].read_bytes() == png(2)


def test_a_picture_with_another_digest_is_refused(tmp_path: Path, drawn_portraits: tuple[Portrait, ...]) -> None:
    packages = DrawnPackages({name: png(99) for name in contents_of(drawn_portraits)})
    with pytest.raises(ConfigError, match=r"Barack Obama.*not the one expected"):
        fetch_portraits(tmp_path, download=packages)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_without_the_picture_is_refused(tmp_path: Path, drawn_portraits: tuple[Portrait, ...]) -> None:
    assert drawn_portraits
    with pytest.raises(ConfigError, match="does not hold"):
        fetch_portraits(tmp_path, download=DrawnPackages({"sour": b""}))


def test_a_pip_that_fails_is_one_sentence_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip could not fetch it.*fetched through pip once") as caught:
        pip_download(Package("no such requirement!", ()), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def drawn_clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    noise = np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8)
    sizes = {"obama": (910, 1137), "biden": (970, 2204), "collins": (512, 512)}
    portraits = {key: tmp_path_factory.mktemp("portraits") / f"{key}.png" for key in sizes}
    for key, path in portraits.items():
        Image.fromarray(noise).resize(sizes[key]).save(path)
    return draw_clips(tmp_path_factory.mktemp("clips"), portraits=portraits)


def test_the_clips_are_gifs_with_uneven_delays_and_a_video(drawn_clips: list[Path]) -> None:
    assert [path.name for path in drawn_clips] == ["astronaut.gif", "pan.gif", "three_shots.mp4", "two_people.gif"]
    for path in drawn_clips:
        if path.suffix == ".gif":
            delays = set()
            with Image.open(path) as image:
                for number in range(getattr(image, "n_frames", 1)):
                    image.seek(number)
                    delays.add(image.info["duration"])
            assert delays == {40, 60, 120, 200}
        else:
            assert path.read_bytes()[4:8] == b"ftyp"


def test_clips_that_are_there_are_not_drawn_again(drawn_clips: list[Path]) -> None:
    before = [path.stat().st_mtime_ns for path in drawn_clips]
    assert draw_clips(drawn_clips[0].parent, portraits={}) == drawn_clips
    assert [path.stat().st_mtime_ns for path in drawn_clips] == before
