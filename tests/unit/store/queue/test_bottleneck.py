"""What holds the queue up, from how busy the stages are."""

import pytest

from annotator.store.queue.bottleneck import Busy, what_binds


@pytest.mark.parametrize(
    ("busy", "binds", "setting"),
    [
        (Busy(decode=0.9, starved=0.7, accelerator=0.2), "decode", "ANNOTATOR_WORKER__DECODERS"),
        (Busy(decode=0.45, starved=0.8, accelerator=0.1), "decode", "ANNOTATOR_WORKER__DECODERS"),
        (Busy(fetch=0.7, decode=0.25, starved=0.6), "fetch", "ANNOTATOR_WORKER__DECODERS"),
        (Busy(accelerator=0.85, link=0.1, decode=0.5), "accelerator", "devices of their own"),
        (Busy(accelerator=0.3, link=0.6, decode=0.5), "linking", "more worker processes"),
        (Busy(accelerator=0.95, starved=0.9, decode=0.9), "decode", "ANNOTATOR_WORKER__DECODERS"),
        (Busy(accelerator=0.5, link=0.4, decode=0.9, starved=0.3), "decode", "ANNOTATOR_WORKER__DECODERS"),
        (Busy(accelerator=0.95, link=0.5, decode=0.9), "accelerator", "devices of their own"),
        (Busy(write=0.8, accelerator=0.7), "database", "ANNOTATOR_WORKER__WRITE_MEDIA"),
        (Busy(claim=0.7, decode=0.9), "database", "ANNOTATOR_WORKER__WRITE_MEDIA"),
        (Busy(idle=0.9, decode=0.1), "feeder", "ANNOTATOR_WORKER__MAX_QUEUED_CHUNKS"),
        (Busy(decode=0.4, accelerator=0.4, write=0.2, idle=0.1), "nothing alone", "ANNOTATOR_WORKER__CONCURRENCY"),
    ],
)
def test_the_stage_that_is_busy_binds_and_a_setting_is_named(busy: Busy, binds: str, setting: str) -> None:
    verdict = what_binds(busy, left=100, workers=2, queue="due")
    assert verdict.binds == binds
    assert setting in verdict.remedy
    assert verdict.why


def test_without_work_without_workers_and_without_measurements_it_is_said_so() -> None:
    busy = Busy(decode=1.0)
    assert what_binds(busy, left=0, workers=2, queue="empty").binds == "nothing to do"
    assert what_binds(busy, left=5, workers=2, queue="empty").binds == "nothing queued"
    assert what_binds(busy, left=5, workers=0, queue="later").binds == "waiting"
    assert what_binds(None, left=5, workers=0, queue="due").binds == "no worker"
    assert what_binds(None, left=5, workers=1, queue="due").binds == "unknown"


def test_workers_that_have_told_nothing_do_not_count_for_the_mean() -> None:
    assert Busy.mean([]) is None
    assert Busy.mean([None, {}]) is None
    assert Busy.mean([{"write": 0.4, "of a later version": 1.0}, None, {"write": 0.6}]) == Busy(write=0.5)
