"""Media: where they are, what they are, and their frames.

The decoder of this package is a child process with limits; nothing here decodes a picture in its own process.
"""

from annotator.media.clips import SampledFrames, sample_frames
from annotator.media.limits import DecodeLimits, FetchLimits, S3Access
from annotator.media.local import LocalMedia, MediaOpener
from annotator.media.reader import MediaReader
from annotator.media.sampling import Sampling
from annotator.media.sources import expand_sources

__all__ = [
    "DecodeLimits",
    "FetchLimits",
    "LocalMedia",
    "MediaOpener",
    "MediaReader",
    "S3Access",
    "SampledFrames",
    "Sampling",
    "expand_sources",
    "sample_frames",
]
