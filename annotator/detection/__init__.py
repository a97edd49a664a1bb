"""Face detection: image pyramid, cascade of three networks, boxes, non-maximum suppression; batched over media."""

from annotator.detection.detector import MtcnnDetector
from annotator.detection.params import DetectionParams

__all__ = ["DetectionParams", "MtcnnDetector"]
