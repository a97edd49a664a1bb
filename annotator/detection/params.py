"""What a user may choose about detection."""

from dataclasses import dataclass
from typing import Final

from annotator.errors import ConfigError
from annotator.networks.mtcnn import PNET_WINDOW_PX

Thresholds = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class DetectionParams:
    """What a user may choose about detection.

    Attributes:
        min_face_px: side of the smallest face to find, in pixels of the frame; at least 12, P-Net's window.
        min_face_fraction: the same as a part of the frame's shorter side, in (0, 1]; the larger of the two counts.
        thresholds: lowest scores of P-Net, R-Net and O-Net at which a face goes on, each in [0, 1).
        pyramid_factor: side of a level of the pyramid over that of the level below, in (0, 1).
        search_every: of the frames of a clip at least one in so many is searched in full, the others only where those
            around them show faces; 1 searches all. See :mod:`annotator.detection.following`.
        max_change: mean difference of thumbnails, in 0-255, from which on a frame is searched in full, too.
        bf16_screen: whether R-Net looks in bfloat16 first, where the processor has it; see
            :mod:`annotator.detection.screening`.

    Raises:
        ConfigError: a value out of its range.

    """

    min_face_px: int = 20
    min_face_fraction: float | None = None
    thresholds: Thresholds = (0.6, 0.7, 0.7)
    pyramid_factor: float = 0.709
    search_every: int = 5
    max_change: float = 15.0
    bf16_screen: bool = True

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.min_face_px < PNET_WINDOW_PX:
            raise ConfigError(f"min_face_px must be at least {PNET_WINDOW_PX}, got {self.min_face_px}")
        if self.min_face_fraction is not None and not 0 < self.min_face_fraction <= 1:
            raise ConfigError(f"min_face_fraction must be in (0, 1], got {self.min_face_fraction}")
        if not all(0 <= threshold < 1 for threshold in self.thresholds):
            raise ConfigError(f"thresholds must be in [0, 1), got {self.thresholds}")
        if self.search_every < 1:
            raise ConfigError(f"search_every must be at least 1, got {self.search_every}")
        if not self.max_change >= 0:
            raise ConfigError(f"max_change must be at least 0, got {self.max_change}")
        if not 0 < self.pyramid_factor < 1:
            raise ConfigError(f"pyramid_factor must be in (0, 1), got {self.pyramid_factor}")

    def min_face_of(self, height_px: int, width_px: int) -> float:
        """Return the side of the smallest face to find in a frame of this size, in its pixels."""
        return max(float(self.min_face_px), (self.min_face_fraction or 0.0) * min(height_px, width_px))


DEFAULT_PARAMS: Final = DetectionParams()
"""Those of facenet-pytorch, with use of time."""
