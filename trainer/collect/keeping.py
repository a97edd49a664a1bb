"""Pictures in the folders of their people: put there with their row of the credits, and taken away again."""

import re
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from annotator.errors import LocalDiskError
from annotator.recognition.photographs import read_picture
from trainer.collect.commons import CommonsFile
from trainer.collect.faces import Choice, check_picture
from trainer.collect.ledger import PersonRecord
from trainer.collect.shapes import cell
from trainer.dataset.files import write_whole

_JPEG_QUALITY: Final = 95


def keep_picture(folder: Path, file: CommonsFile, *, path: Path, choice: Choice) -> dict[str, str]:
    """Put a picture into the folder of a person.

    Args:
        folder: of the person, in the raw dataset.
        file: what Commons says of it.
        path: where its bytes are.
        choice: which face is the person.

    Returns:
        Its row of the credits, without the item.

    Raises:
        LocalDiskError: the disk is full or refuses.

    """
    name = _file_name(file.title)
    body = _as_jpeg(path)
    write_whole(folder / name, body)
    box = choice.face.box_xyxy if choice.face else ()
    dates = [one.earliest for one in file.taken]
    return {
        "label": folder.name,
        "file": f"{folder.parent.name}/{folder.name}/{name}",
        "title": cell(file.title),
        "page": cell(file.page_url),
        "author": cell(file.author),
        "credit": cell(file.credit),
        "licence": cell(file.licence_name or file.licence_code),
        "licence_url": cell(file.licence_url),
        "restrictions": cell("|".join(file.restrictions)),
        "taken": min(dates).isoformat() if dates else "",
        "sha256": sha256(body).hexdigest(),
        "face_box_xyxy": " ".join(map(str, box)),
        "face_px": f"{choice.face.face_px:.0f}" if choice.face else "",
        "agreement": "" if choice.agreement is None else f"{choice.agreement:.3f}",
    }


def remove_former(raw_dataset: Path, before: PersonRecord | None, now: PersonRecord) -> None:
    """Take away pictures of an earlier run that are refused now; only files that this program has put there.

    Raises:
        LocalDiskError: the folder cannot be changed.

    """
    names = {row.get("file", "") for row in now.credits}
    folder = raw_dataset / now.label
    for row in before.credits if before else ():
        path = raw_dataset.parent / row.get("file", "")
        if row.get("file", "") in names or path.parent != folder:
            continue
        try:
            if path.is_file() and sha256(path.read_bytes()).hexdigest() == row.get("sha256"):
                path.unlink()
        except OSError as error:
            raise LocalDiskError(f"{path} cannot be removed ({error}); check the folder's rights.") from error


def _file_name(title: str) -> str:
    """Return a name for a file that no file system stumbles over.

    >>> _file_name("File:../Jane Doe (2014).tiff")
    'Jane_Doe_2014-19df8081.jpg'
    """
    stem = title.removeprefix("File:").rpartition(".")[0]
    readable = re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_")[:80] or "picture"
    return f"{readable}-{sha256(title.encode('utf-8', 'replace')).hexdigest()[:8]}.jpg"


def _as_jpeg(path: Path) -> bytes:
    """Return a picture's bytes, as they came if they are JPEG."""
    if check_picture(path) == "JPEG":
        return path.read_bytes()
    written = BytesIO()
    Image.fromarray(read_picture(path)).save(written, "JPEG", quality=_JPEG_QUALITY)
    return written.getvalue()
