"""The way that GIPHY's open release documents for a clip, rebuilt from its description; runs in the peers' environment.

The whole clip is decoded to a list; of 20 evenly spaced frames MTCNN finds the faces, the smallest one a fifth of the
frame's shorter side; each face is cut out with a margin, resized to 224 pixels, and all of them go through a ResNet-50
with a bottleneck of 256 numbers in one batch; a Gaussian mixture with one component for each class that was best for
some face clusters the embeddings, and the classes' values are multiplied within each cluster. The weights are random:
the time does not depend on them. MTCNN is that of facenet-pytorch, quicker than the release's own.
"""

import warnings
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN
from sklearn.mixture import GaussianMixture
from torch import nn

FRAMES: Final = 20
FACE_PX: Final = 224
MARGIN: Final = 0.2
MIN_FACE_SHARE: Final = 0.2
EMBEDDING_SIZE: Final = 256
CLASSES: Final = 2306
STAGES: Final = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Of a ResNet-50: width, blocks, stride."""


class Block(nn.Module):
    """A bottleneck block: 1 x 1, 3 x 3, 1 x 1, and a way around them."""

    def __init__(self, given: int, width: int, stride: int) -> None:
        """Make the layers."""
        super().__init__()
        self.way = nn.Sequential(
            *convolution(given, width, 1, 1),
            nn.ReLU(inplace=True),
            *convolution(width, width, 3, stride),
            nn.ReLU(inplace=True),
            *convolution(width, 4 * width, 1, 1),
        )
        is_plain = stride == 1 and given == 4 * width
        self.around = nn.Identity() if is_plain else nn.Sequential(*convolution(given, 4 * width, 1, stride))

    def forward(self, x: Any) -> Any:  # noqa: ANN401 - tensors
        """Run it."""
        return torch.relu(self.way(x) + self.around(x))


def convolution(given: int, width: int, side: int, stride: int) -> tuple[nn.Module, nn.Module]:
    """Return a convolution with its normalisation."""
    return nn.Conv2d(given, width, side, stride, side // 2, bias=False), nn.BatchNorm2d(width)


def resnet50() -> tuple[nn.Module, nn.Module]:
    """Return the network up to the embedding, and the layer of the classes."""
    layers: list[nn.Module] = [*convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    given = 64
    for width, blocks, stride in STAGES:
        for number in range(blocks):
            layers.append(Block(given, width, 1 if number else stride))
            given = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(given, EMBEDDING_SIZE)]
    return nn.Sequential(*layers).eval(), nn.Linear(EMBEDDING_SIZE, CLASSES).eval()


class GiphyWay:
    """Annotates clips."""

    def __init__(self, threads: int) -> None:
        """Make the networks."""
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        torch.manual_seed(0)
        warnings.simplefilter("ignore")
        self._network, self._head = resnet50()
        self._centres = torch.randn(CLASSES, EMBEDDING_SIZE).numpy().astype(np.float64)

    @torch.inference_mode()
    def annotate(self, path: Path) -> tuple[int, int]:
        """Annotate a clip; return how many frames and faces there were."""
        images = decoded(path)
        count = min(FRAMES, len(images))
        chosen = [images[-(-number * len(images) // count)] for number in range(count)]
        smallest_px = max(12, int(MIN_FACE_SHARE * min(chosen[0].shape[:2])))
        mtcnn = self._detector(smallest_px)
        found, _ = mtcnn.detect(np.stack(chosen))
        crops = [
            cut(image, box) for image, boxes in zip(chosen, found, strict=True) if boxes is not None for box in boxes
        ]
        crops = [crop for crop in crops if crop is not None]
        if crops:
            batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
            embeddings = self._network(batch)
            self._names(embeddings.numpy().astype(np.float64), torch.softmax(self._head(embeddings), 1).numpy())
        return count, len(crops)

    def _detector(self, smallest_px: int) -> Any:  # noqa: ANN401 - no types
        if not hasattr(self, "_mtcnn"):
            self._mtcnn = MTCNN(keep_all=True, device="cpu")
        self._mtcnn.min_face_size = smallest_px
        return self._mtcnn

    def _names(self, embeddings: Any, values: Any) -> list[Any]:  # noqa: ANN401 - arrays
        classes, counts = np.unique(values.argmax(axis=1), return_counts=True)
        if len(embeddings) < 2:
            return [values[0]]
        mixture = GaussianMixture(
            len(classes),
            covariance_type="tied",
            means_init=self._centres[classes],
            weights_init=counts / counts.sum(),
            random_state=0,
        )
        clusters = mixture.fit(embeddings).predict(embeddings)
        return [values[clusters == cluster].prod(axis=0) for cluster in np.unique(clusters)]


def decoded(path: Path) -> list[Any]:
    """Return all frames of a clip, u8 RGB."""
    film = cv2.VideoCapture(str(path))
    frames = []
    while True:
        got, frame = film.read()
        if not got:
            film.release()
            return frames
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def cut(image: Any, box: Any) -> Any:  # noqa: ANN401 - arrays
    """Return a face with a tenth of its sides around it, 224 x 224; None where nothing of it lies inside."""
    height, width = image.shape[:2]
    x_margin, y_margin = MARGIN * (box[2] - box[0]) / 2, MARGIN * (box[3] - box[1]) / 2
    left, top = int(max(box[0] - x_margin, 0)), int(max(box[1] - y_margin, 0))
    right, bottom = int(min(box[2] + x_margin, width)), int(min(box[3] + y_margin, height))
    if right <= left or bottom <= top:
        return None
    return cv2.resize(image[top:bottom, left:right], (FACE_PX, FACE_PX), interpolation=cv2.INTER_LINEAR)
