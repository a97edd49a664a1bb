"""What holds the queue up, and which setting to change: judged from how busy the stages of living workers are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal, Self

Binding = Literal[
    "nothing to do",
    "nothing queued",
    "waiting",
    "no worker",
    "feeder",
    "decode",
    "fetch",
    "accelerator",
    "linking",
    "database",
    "nothing alone",
    "unknown",
]
QueueState = Literal["empty", "later", "due"]

_MUCH: Final = 0.6  # of its time: a stage that is busy so much leaves the others waiting
_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Busy:
    """Shares of time, 0 to 1, that stages were busy; the mean over workers.

    Attributes:
        fetch: decoding threads, reading media from their source.
        decode: decoding threads, decoding.
        accelerator: the networks at work, for whichever thread.
        link: the engine's thread, aligning faces, linking tracks, naming.
        starved: the networks with room for more frames and none there, while media are in hand.
        write: the writer's thread in a transaction.
        claim: task threads in a claim.
        idle: task threads without a message.

    """

    fetch: float = 0.0
    decode: float = 0.0
    accelerator: float = 0.0
    link: float = 0.0
    starved: float = 0.0
    write: float = 0.0
    claim: float = 0.0
    idle: float = 0.0

    @classmethod
    def mean(cls, told: Iterable[Mapping[str, float] | None]) -> Self | None:
        """Return the mean of what sessions have told; None where none has told anything.

        >>> Busy.mean([{"decode": 0.5, "idle": 1.0}, None, {"decode": 1.0}])
        Busy(fetch=0.0, decode=0.75, accelerator=0.0, link=0.0, starved=0.0, write=0.0, claim=0.0, idle=0.5)
        """
        shares = [one for one in told if one]
        if not shares:
            return None
        return cls(
            **{stage.name: sum(one.get(stage.name, 0.0) for one in shares) / len(shares) for stage in fields(cls)}
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds the queue up.

    Attributes:
        binds: in one word or two; stable.
        why: what it was judged from.
        remedy: what to change.

    """

    binds: Binding
    why: str
    remedy: str


_REMEDIES: Final[Mapping[Binding, str]] = {
    "nothing to do": "annotate-backlog s3://BUCKET/PREFIX queues more.",
    "nothing queued": "Files of one machine travel to no worker: annotate them there again.",
    "waiting": "Nothing: it is tried again at its time.",
    "no worker": "Start some: celery -A workers worker -Q gpu (or -Q cpu).",
    "feeder": "See that beat runs (celery -A workers beat); with many fast workers, raise"
    " ANNOTATOR_WORKER__MAX_QUEUED_CHUNKS.",
    "decode": "More workers or processor cores; with cores to spare, raise ANNOTATOR_WORKER__DECODERS.",
    "fetch": "Media come too slowly: raise ANNOTATOR_WORKER__DECODERS, or run workers closer to the bucket.",
    "accelerator": "More workers on machines or devices of their own; ANNOTATOR_SAMPLING__FRAMES sets how many frames"
    " are looked at.",
    "linking": "One thread links and names: run more worker processes on this machine.",
    "database": "More workers do not help: give Postgres more processor or a faster disk, or raise"
    " ANNOTATOR_WORKER__WRITE_MEDIA.",
    "nothing alone": "Raise ANNOTATOR_WORKER__CONCURRENCY, so that more media are in hand at once.",
    "unknown": "Wait for the next heartbeat: workers tell every ANNOTATOR_WORKER__HEARTBEAT_S.",
}


def what_binds(busy: Busy | None, *, left: int, workers: int, queue: QueueState, others: int = 0) -> Verdict:
    """Judge what holds the queue up.

    Args:
        busy: the mean of the living workers; None where none has told yet.
        left: media pending or claimed.
        workers: living workers that annotate for this network.
        others: living workers that do so for another network.
        queue: whether chunks wait for a worker: none at all, only such as are due later, or some that are due.

    """
    if left == 0:
        return _verdict("nothing to do", "nothing is pending")
    if queue != "due":
        return _not_due(queue)
    if workers == 0:
        elsewhere = f"no worker of this network lives; {others} of another one do nothing of it"
        return _verdict("no worker", elsewhere if others else "no worker has said lately that it lives")
    if busy is None:
        return _verdict("unknown", "no worker has told yet how busy it is")
    if busy.idle >= _HALF:
        return _verdict("feeder", f"task threads have no message {_percent(busy.idle)} of their time")
    return _busiest(busy)


def _not_due(queue: QueueState) -> Verdict:
    if queue == "later":
        return _verdict("waiting", "what is pending waits to be tried again")
    return _verdict("nothing queued", "what is pending is in no chunk")


def _busiest(busy: Busy) -> Verdict:
    database = max(busy.write, busy.claim)
    decoders = f"decoders fetch {_percent(busy.fetch)} and decode {_percent(busy.decode)} of their time"
    reading: Binding = "fetch" if busy.fetch > busy.decode else "decode"
    engine: Binding = "linking" if busy.link > busy.accelerator else "accelerator"
    why_reading = f"{decoders}, the networks wait for frames, with room for more, {_percent(busy.starved)}"
    # The first of these that is busy most of its time; a writer that is busy holds everything up, the engine's thread
    # holds up the decoders. Networks with room for more frames, and none there, hold nobody up, however busy they are.
    stages: tuple[tuple[Binding, float, str], ...] = (
        (
            "database",
            database,
            f"the writer is in transactions {_percent(busy.write)}, claims take {_percent(busy.claim)}",
        ),
        (reading, busy.starved, why_reading),
        (
            engine,
            max(busy.accelerator, busy.link),
            f"the networks are at work {_percent(busy.accelerator)} of the time, linking is {_percent(busy.link)}",
        ),
        (reading, busy.fetch + busy.decode, why_reading),
    )
    for binds, share, why in stages:
        if share >= _MUCH:
            return _verdict(binds, why)
    return _verdict("nothing alone", "no stage is busy most of its time")


def _verdict(binds: Binding, why: str) -> Verdict:
    return Verdict(binds, why, _REMEDIES[binds])


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
