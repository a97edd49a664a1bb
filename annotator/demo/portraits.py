"""Public-domain portraits that Python packages carry, fetched through pip once and checked by digest.

None of them is part of this project. All three are works of the United States government:

- Barack Obama, official portrait of 2012 by Pete Souza, The White House
- Joe Biden, official portrait of 2013 by David Lienemann, The White House
- Eileen Collins, astronaut's portrait, NASA

The first two lie among the tests in the source archive of ``face_recognition``, the third in the wheel of
``scikit-image``. Nothing of either package is installed; of the wheel nothing is run.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from PIL import Image

from annotator.appearing import appearing_file
from annotator.errors import ConfigError
from annotator.recognition.photographs import open_picture

FETCH_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Package:
    """Something that pip can download.

    Attributes:
        requirement: name and exact version.
        options: of ``pip download``.
        sha256: of the file, where there is only one; pip checks it before it looks inside.

    """

    requirement: str
    options: tuple[str, ...]
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Portrait:
    """One portrait.

    Attributes:
        key: its file name here, without the suffix.
        name: who it is.
        package: what carries it.
        member: where it lies in there.
        sha256: of the picture's file.

    """

    key: str
    name: str
    package: Package
    member: str
    sha256: str


_FACE_RECOGNITION: Final = Package(
    "face-recognition==1.3.0",
    ("--no-binary", ":all:"),
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
)
# A wheel for each platform: the picture's own digest is what counts.
_SCIKIT_IMAGE: Final = Package("scikit-image==0.26.0", ("--only-binary", ":all:"))

OBAMA: Final = Portrait(
    key="obama",
    name="Barack Obama",
    package=_FACE_RECOGNITION,
    member="face_recognition-1.3.0/tests/test_images/obama.jpg",
    sha256="0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
)
BIDEN: Final = Portrait(
    key="biden",
    name="Joe Biden",
    package=_FACE_RECOGNITION,
    member="face_recognition-1.3.0/tests/test_images/biden.jpg",
    sha256="3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
)
COLLINS: Final = Portrait(
    key="collins",
    name="Eileen Collins",
    package=_SCIKIT_IMAGE,
    member="skimage/data/astronaut.png",
    sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
)
PORTRAITS: Final = (OBAMA, BIDEN, COLLINS)

Download = Callable[[Package, Path], Path]


def fetch_portraits(folder: Path, *, download: Download | None = None) -> dict[str, Path]:
    """Make sure that the portraits lie in a folder.

    Args:
        folder: made if need be; what lies there with the right digest is not fetched again.
        download: puts a package's one file into a folder and returns it; pip by default.

    Returns:
        the picture of each portrait, by its key.

    Raises:
        ConfigError: pip is missing or could not fetch, or a picture is not the one expected.

    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {portrait.key: folder / f"{portrait.key}{Path(portrait.member).suffix}" for portrait in PORTRAITS}
    missing = [portrait for portrait in PORTRAITS if not _is_right(portrait, paths[portrait.key])]
    for package in dict.fromkeys(portrait.package for portrait in missing):
        wanted = [portrait for portrait in missing if portrait.package == package]
        with tempfile.TemporaryDirectory() as scratch:
            archive: Path | None = None
            for portrait in wanted:
                content = _from_installed(portrait)
                if content is None:
                    archive = archive or (download or pip_download)(package, Path(scratch))
                    content = _from_archive(archive, portrait.member)
                _keep(portrait, content, paths[portrait.key])
    return paths


def load_portrait(path: Path) -> Image.Image:
    """Return a portrait as an RGB picture."""
    with open_picture(path) as image:
        return image.convert("RGB")


def pip_download(package: Package, folder: Path) -> Path:
    """Download one file through pip, without installing it and without its dependencies.

    Raises:
        ConfigError: pip is missing or fails; with pip's last line.

    """
    requirements = folder / "requirements.txt"
    pinned = f" --hash=sha256:{package.sha256}" if package.sha256 else ""
    requirements.write_text(f"{package.requirement}{pinned}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps"]
    command += [*package.options, "--requirement", str(requirements), "--dest", str(folder)]
    remedy = f"The demo's portraits come with {package.requirement}, fetched through pip once."
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"pip did not answer within {FETCH_TIMEOUT_S:.0f} s. {remedy}") from error
    files = [path for path in folder.iterdir() if path != requirements]
    if done.returncode or len(files) != 1:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ConfigError(f"pip could not fetch it ({said[-1] if said else 'no file came'}). {remedy}")
    return files[0]


def _from_installed(portrait: Portrait) -> bytes | None:
    """Return the picture where its package happens to be installed."""
    package, _, member = portrait.member.partition("/")
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / member
    return path.read_bytes() if path.is_file() and _is_right(portrait, path) else None


def _from_archive(archive: Path, member: str) -> bytes:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(member)
        with tarfile.open(archive) as sources:
            file = sources.extractfile(member)
            return file.read() if file else b""  # a folder of that name: its digest will be wrong
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{archive.name} does not hold {member}.") from error


def _is_right(portrait: Portrait, path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == portrait.sha256


def _keep(portrait: Portrait, content: bytes, path: Path) -> None:
    if hashlib.sha256(content).hexdigest() != portrait.sha256:
        raise ConfigError(f"The portrait of {portrait.name} in {portrait.package.requirement} is not the one expected.")
    with open_picture(io.BytesIO(content)) as image:
        image.verify()
    with appearing_file(path) as file:
        file.write(content)
