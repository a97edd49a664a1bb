"""What ``annotate-backlog`` says: progress and warnings on stderr, results on stdout."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Final

import typer
from rich.console import Console

from annotator.store.backlog.registration import ListingCount
from annotator.store.backlog.settling import Missing
from workers.backlog.follow import Step

_PROGRESS_EVERY_S: Final = 1.0
_SAMPLE_STEP: Final = 20
_SEEN: Final = {"listing": "listed", "notifications": "was told of"}


def warn(said: str) -> None:
    """Say what goes wrong."""
    sys.stderr.write(f"annotate-backlog: {said}\n")


def tell(said: dict[str, object], words: str, *, as_json: bool) -> None:
    """Print a summary."""
    typer.echo(json.dumps(said) if as_json else words)


def counted(total: ListingCount, began_s: float) -> dict[str, object]:
    """Return a summary for programs."""
    seconds = time.monotonic() - began_s
    unchanged = total.listed - total.new - total.changed
    return {**asdict(total), "unchanged": unchanged, "seconds": round(seconds, 3)}


def tell_sample(done: int, size: int) -> None:
    """Say how far the sample of a forecast has come."""
    if done % _SAMPLE_STEP == 0 or done == size:
        sys.stderr.write(f"{done} of {size} media of the sample annotated\n")


def tell_step(run_id: int, step: Step, *, as_json: bool) -> None:
    """Say what a step of a backlog that follows its bucket has come to, where it has changed anything."""
    if step.unknown:
        warn(f"{step.unknown} messages are none of this bucket's, or of what cannot be looked at; the queue keeps them")
    if step.refused is not None:
        warn(refusal_in_words(step.refused))
    count = step.count
    if count.queued or count.new or count.changed or count.deleted:
        tell(
            {"backlog": run_id, "by": step.by, **asdict(count)},
            in_words(count, "queued", seen=_SEEN[step.by]),
            as_json=as_json,
        )


def refusal_in_words(refused: Missing) -> str:
    """Say why nothing was marked as gone, and what to do.

    >>> refusal_in_words(Missing(missing=300, known=1000, most=200))[:75]
    'the listing lacks 300 or more of 1,000 known media, of which 200 may be gon'
    """
    return (
        f"the listing lacks {refused.missing:,} or more of {refused.known:,} known media, of which {refused.most:,} may"
        " be gone at once: none of them is marked as gone. See whether bucket, prefix and credentials are right; where"
        " the objects are really gone, run it once with --allow-gone (see ANNOTATOR_BACKLOG__MAX_GONE_SHARE)"
    )


def sum_up(parts: Iterator[ListingCount], shards: Callable[[], int]) -> ListingCount:
    """Sum up, and tell on stderr how far it has come."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    total = ListingCount()
    began_s = told_s = time.monotonic()
    for part in parts:
        total.add(part)
        now_s = time.monotonic()
        if now_s - told_s > _PROGRESS_EVERY_S:
            told_s = now_s
            rate = total.listed / (now_s - began_s)
            console.print(
                f"{total.listed} listed, {total.new} new, {total.changed} changed, {rate:.0f} keys/s, {shards()} shards"
            )
    return total


def in_words(total: ListingCount, verb: str, *, seen: str = "listed") -> str:
    """Return a summary for a person."""
    unchanged = total.listed - total.new - total.changed
    gone = f", {total.deleted} gone" if total.deleted else ""
    left_out = f", {total.left_out} left out" if total.left_out else ""
    return (
        f"{seen} {total.listed} media: {total.new} new, {total.changed} changed, {unchanged} unchanged{gone}{left_out};"
        f" {verb} {total.queued} media in {total.chunks} chunks"
    )
