"""``trainer import-giphy``: the release becomes a folder that can name faces."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from annotator.appearing import check_new
from annotator.errors import ConfigError
from trainer.giphy.archive import open_release
from trainer.giphy.checkpoint import open_checkpoint
from trainer.giphy.folder import write_folder
from trainer.giphy.labels import read_class_labels
from trainer.giphy.mapping import check_names, read_head, read_network

_COPIED_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has done.

    Attributes:
        folder: where it is.
        people: how many it knows.

    """

    folder: Path
    people: int


def import_giphy(archive: Path, folder: Path, *, labels: Path | None = None) -> Imported:
    """Import GIPHY's release.

    Args:
        archive: ``resources.tar.gz``, or the folder ``resources`` unpacked from it.
        folder: where to write; must not be there, or be empty.
        labels: the release's ``labels.csv``; by default that of the archive.

    Raises:
        ConfigError: something of this is not there, or is where it must not be.
        ModelError: the archive or the checkpoint is broken, hostile, or not the release.
        ProblemsError: the labels are wrong; all of it.
        LocalDiskError: there is no room.

    """
    check_new(folder)
    if labels is not None and not labels.is_file():
        raise ConfigError(f"there is no {labels}: name the labels.csv of GIPHY's release by --labels")
    scratch = next(parent for parent in folder.absolute().parents if parent.is_dir())
    with open_release(archive, scratch_dir=scratch) as release:
        content = labels.read_bytes() if labels is not None else release.labels
        if content is None:
            raise ConfigError(f"{archive} holds no labels.csv: name the release's by --labels")
        names = read_class_labels(content, labels or release.labels_path)
        checkpoint = open_checkpoint(release.checkpoint)
        check_names(checkpoint, len(names))
        network, head = read_network(checkpoint), read_head(checkpoint, len(names))
        write_folder(folder, names, network, head, checkpoint_sha256=_sha256(release.checkpoint))
    return Imported(folder, len(names))


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while part := file.read(_COPIED_BYTES):
        digest.update(part)
    return digest.hexdigest()
