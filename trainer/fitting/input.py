"""Crops and their people as ``tf.data``: what comes when depends on seed, epoch and step only, so a run can go on.

TensorFlow is imported when a data set is made, never on import.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.errors import AnnotatorError, InputError
from annotator.recognition.crops import resized
from annotator.recognition.photographs import PICTURE_SUFFIXES
from annotator.types import F32, I64, U8
from trainer.augmentation import Augmentation, augment

_ORDER, _CHANGE = 0, 1
"""What a random generator is for: keeps the numbers of both apart."""


class Samples(Protocol):
    """What a network learns from, or is evaluated on."""

    @property
    def labels(self) -> I64:
        """The class of each sample, i64 (N,)."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        ...

    def read(self, index: int, changes: tuple[int, int] | None) -> F32:
        """Return one sample; the same arguments give the same numbers.

        Args:
            index: which one.
            changes: seed and epoch that decide how it is changed; None leaves it.

        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Faces cut out of photographs, a folder for each person.

    Attributes:
        files: the pictures, sorted by person and name.
        labels: i64 (N,), the person of each.
        side_px: pictures are brought to this side.
        augmentation: how pictures are changed where changes are asked for.

    """

    files: tuple[Path, ...]
    labels: I64
    side_px: int
    augmentation: Augmentation

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.files)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (side, side, 3)."""
        return (self.side_px, self.side_px, 3)

    def read(self, index: int, changes: tuple[int, int] | None) -> F32:
        """Return one picture, f32 (side, side, 3), RGB in 0-255. See :meth:`Samples.read`."""
        return self.read_u8(index, changes).astype(np.float32)

    def read_u8(self, index: int, changes: tuple[int, int] | None) -> U8:
        """Return one picture, u8 (side, side, 3), RGB.

        Raises:
            InputError: the file cannot be read, or is no picture.

        """
        image = read_crop(self.files[index], self.side_px)
        if changes is None:
            return image
        return augment(image, self.augmentation, np.random.default_rng([*changes, index, _CHANGE]))


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Outputs of a frozen front, computed once.

    Attributes:
        embeddings: f32 (N, 1, 1, D), of unit length.
        labels: i64 (N,), the person of each.

    """

    embeddings: F32
    labels: I64

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (1, 1, D)."""
        return tuple(self.embeddings.shape[1:])

    def read(self, index: int, changes: tuple[int, int] | None) -> F32:
        """Return one embedding; they are never changed. See :meth:`Samples.read`."""
        del changes
        embedding: F32 = self.embeddings[index]
        return embedding


def crop_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders of people that hold crops, sorted; hidden ones are left out."""
    if not folder.is_dir():
        return ()
    folders = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return tuple(sorted(path.name for path in folders if any(_pictures(path))))


def list_crops(folder: Path, people: Sequence[str], *, side_px: int, augmentation: Augmentation) -> Crops:
    """List the crops of people.

    Args:
        folder: holds a folder for each person.
        people: names of folders; their places are the classes. One that is not there has no crops.
        side_px: see :class:`Crops`.
        augmentation: see :class:`Crops`.

    """
    found = [(path, label) for label, name in enumerate(people) for path in sorted(_pictures(folder / name))]
    labels = np.asarray([label for _, label in found], np.int64)
    return Crops(tuple(path for path, _ in found), labels, side_px, augmentation)


def read_crop(path: Path, side_px: int) -> U8:
    """Read a picture and bring it to a square.

    Returns:
        u8 (side_px, side_px, 3), RGB.

    Raises:
        InputError: the file cannot be read, or is no picture.

    """
    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    except (OSError, cv2.error) as error:
        raise InputError(f"{path} cannot be read ({error}): run `trainer prepare` again") from error
    if image is None:
        raise InputError(f"{path} is no picture: remove it, and run `trainer prepare` again")
    return resized(np.asarray(image, np.uint8), side_px)


def epoch_order(count: int, *, seed: int, epoch: int) -> I64:
    """Return the order in which an epoch takes its samples, i64 (count,)."""
    return np.random.default_rng([seed, epoch, _ORDER]).permutation(count)


@dataclass(slots=True, eq=False)
class Feed:
    """Makes data sets of samples.

    Attributes:
        samples: what is read.
        batch: samples in a batch.
        seed: decides order and changes.
        error: what reading has failed with; TensorFlow tells only that it failed.

    """

    samples: Samples
    batch: int
    seed: int
    error: AnnotatorError | None = None

    @property
    def steps(self) -> int:
        """Whole batches in an epoch; what is left over is another part in each epoch."""
        return len(self.samples.labels) // self.batch

    def epoch(self, epoch: int, *, first_step: int = 0) -> Any:  # noqa: ANN401 - TensorFlow has no types here
        """Return the batches of an epoch, shuffled and changed.

        Args:
            epoch: which one, counted from 0.
            first_step: batches before it are left out, at no cost.

        Returns:
            A ``tf.data.Dataset`` of samples, f32 (batch, …), and labels, i32 (batch,).

        """
        order = epoch_order(len(self.samples.labels), seed=self.seed, epoch=epoch)
        indices = order[first_step * self.batch : self.steps * self.batch]
        return self._batches(indices, (self.seed, epoch))

    def once(self) -> Any:  # noqa: ANN401 - as above
        """Return all samples in their order and unchanged; the last batch may be smaller."""
        return self._batches(np.arange(len(self.samples.labels)), None)

    def _batches(self, indices: NDArray[np.int64], changes: tuple[int, int] | None) -> Any:  # noqa: ANN401 - as above
        import tensorflow as tf  # noqa: PLC0415 - takes seconds, and listing crops needs none

        def read(index: Any) -> F32:  # noqa: ANN401 - as above
            try:
                return self.samples.read(int(index), changes)
            except AnnotatorError as error:
                self.error = error
                raise

        labels = self.samples.labels.astype(np.int32)

        def load(index: Any, label: Any) -> tuple[Any, Any]:  # noqa: ANN401 - as above
            # Said to be without a state, which it is, so that samples are read in parallel.
            sample = tf.numpy_function(read, [index], tf.float32, stateful=False)
            return tf.ensure_shape(sample, self.samples.shape), label

        dataset = tf.data.Dataset.from_tensor_slices((indices, labels[indices]))
        dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return dataset.batch(self.batch, drop_remainder=changes is not None).prefetch(tf.data.AUTOTUNE)


def _pictures(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return iter(())
    return (
        path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )
