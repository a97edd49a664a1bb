"""How much a media may cost: bytes to fetch, time, memory and pixels to decode."""

from dataclasses import dataclass, field
from pathlib import Path

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What fetching over a network may cost, and from where it may be done. Local files are read in place.

    Attributes:
        max_bytes: longest body of an http(s) answer or S3 object.
        timeout_s: wall time of one fetch in all, redirects included.
        connect_timeout_s: wall time until a connection stands.
        read_timeout_s: longest silence of the other side.
        max_redirects: redirects followed; each target is checked like the first.
        allow_private: whether http(s) may reach addresses that are not public (loopback, private networks, …).
        temp_dir: where fetched bodies are kept while they are read; None for the system's folder.

    """

    max_bytes: int = 2 * GIB
    timeout_s: float = 600.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    max_redirects: int = 5
    allow_private: bool = False
    temp_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What decoding one media may cost. The limits hold for each decoder child; ``wall_s`` for all of a media.

    Attributes:
        max_pixels: largest width x height of a frame (50 million: a photograph of 8064 x 6048 passes).
        max_frames: most frames of a clip (4 h at 30 frames/s).
        max_duration_ms: longest displayed time.
        wall_s: time spent waiting for decoders; time that the consumer takes is not counted.
        cpu_s: CPU time of a child (RLIMIT_CPU).
        memory_bytes: private memory of a child (RLIMIT_DATA; its address space, with the program, gets
            ``ADDRESS_SPACE_EXTRA`` more).
        threads: decoding threads of a child.
        buffer_bytes: decoded frames that may be held while it is not yet known which are sampled.
        batch_bytes: pixels of a FrameBatch; a batch has at least one frame.

    """

    max_pixels: int = 50_000_000
    max_frames: int = 432_000
    max_duration_ms: int = 4 * 3600 * 1000
    wall_s: float = 900.0
    cpu_s: int = 1800
    memory_bytes: int = 768 * MIB
    threads: int = 2
    buffer_bytes: int = 128 * MIB
    batch_bytes: int = 8 * MIB


@dataclass(frozen=True, slots=True)
class S3Access:
    """How S3 is reached. Whatever is None comes from boto3's own chain (environment, profile, instance role).

    Attributes:
        endpoint_url: an S3-compatible server other than AWS.
        region: name of the region.
        access_key_id: key id.
        secret_access_key: its secret; never shown.

    """

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
