"""How a worker keeps time."""

from dataclasses import dataclass, field

from annotator.store.queue.chunks import USUAL_LIMITS, ChunkLimits
from annotator.store.queue.work import Deadlines


@dataclass(frozen=True, slots=True)
class WorkerTimes:
    """How a worker keeps time, and how much it does at once.

    Attributes:
        heartbeat_s: between two heartbeats.
        drain_s: from the signal to stop until the process leaves.
        deadlines: how long a claim may last.
        max_tries: tries until a passing trouble counts as failed.
        chunk_limits: of chunks of media that go back.
        write_media: most media of one transaction.
        write_wait_s: longest wait of a media for its transaction.
        max_films: films in hand at once; fewer than decoders, and fewer than task threads.

    """

    heartbeat_s: float = 10.0
    drain_s: float = 12.0
    deadlines: Deadlines = field(default_factory=Deadlines)
    max_tries: int = 5
    chunk_limits: ChunkLimits = USUAL_LIMITS
    write_media: int = 128
    write_wait_s: float = 0.25
    max_films: int = 1
