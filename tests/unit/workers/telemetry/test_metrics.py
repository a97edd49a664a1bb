"""What a worker and beat count, once each."""

from pathlib import Path

import prometheus_client
import pytest

from annotator.errors import BrokerUnavailableError, UndecodableMediaError
from annotator.settings import MetricsSettings, load_settings
from annotator.store.queue.chunks import Piece
from annotator.store.queue.work import Claim, Report
from annotator.store.tables import WorkState
from annotator.types import ClipReport, KnownMedia, MediaAnnotation, MediaFailure, MediaRef
from workers.app import create_app
from workers.beat.queue_metrics import QueueMetrics
from workers.beat.schedule import JobContext, make_jobs
from workers.boot import _Process, tell_called_back
from workers.telemetry.meters import Meters
from workers.telemetry.metrics import WorkerMetrics, serve_metrics
from workers.telemetry.observing import Observing
from workers.telemetry.watch import Settled, Watch

MEDIA = MediaRef("a.gif", "s3://clips/a.gif")
ANNOTATION = MediaAnnotation(
    media=MEDIA,
    model="fake@1",
    content_sha256="0",
    clip=ClipReport(1, 1, None, 1, 1, None),
    frames_sampled=20,
    faces=3,
    tracks=(),
    labels=(),
    timings_s={"fetch": 0.2, "decode": 0.004, "detect": 0.03},
)
FAILURE = MediaFailure(MEDIA, "fake@1", UndecodableMediaError.reason, "no media", is_transient=False)


def claim_of(media_id: int = 1) -> Claim:
    return Claim(media_id, 1, 1, MEDIA, Piece(media_id, "a.gif", 1), suspect=False, tries=1)


def settled(outcome: object, state: WorkState = WorkState.DONE, *, counts: bool = True, **report: object) -> Settled:
    claim = claim_of()
    return Settled(claim, outcome, Report(claim, state, **report), counts=counts)  # type: ignore[arg-type]


class Counted:
    """The samples of a registry that are not zero."""

    def __init__(self) -> None:
        self.meters = Meters()
        self.metrics = WorkerMetrics(self.meters)
        self.watch = Watch(self.meters, (self.metrics,))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def media(self) -> dict[str, float]:
        """Everything that is counted of a media or a result, without what is zero."""
        return {
            " ".join((sample.name, *sample.labels.values())).strip(): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if family.type == "counter" and sample.name.startswith(("annotator_media", "annotator_results"))
            if sample.value
        }


def test_each_media_is_counted_once_by_what_became_of_it() -> None:
    counted = Counted()
    counted.watch.settled(
        [
            settled(ANNOTATION),
            settled(KnownMedia(MEDIA, "0")),
            settled(FAILURE, WorkState.FAILED, reason="undecodable"),
        ],
        took_s=0.02,
    )
    assert counted.media() == {
        "annotator_media_total annotated": 1,
        "annotator_media_total linked": 1,
        "annotator_media_total failed undecodable": 1,
    }


def test_what_is_not_through_is_no_outcome() -> None:
    counted = Counted()
    again = MediaFailure(MEDIA, "fake@1", "source_unavailable", "503", is_transient=True)
    counted.watch.settled(
        [
            settled(again, WorkState.PENDING, reason="source_unavailable", delay_s=5.0),
            settled(None, WorkState.PENDING, gives_back=True),
            settled(ANNOTATION, counts=False),
            settled(FAILURE, WorkState.FAILED, reason="undecodable", counts=False),
            settled(None, WorkState.PENDING, gives_back=True, counts=False),
        ],
        took_s=0.02,
    )
    assert counted.media() == {
        "annotator_media_retries_total source_unavailable": 1,
        "annotator_media_given_back_total": 1,
        "annotator_results_refused_total": 2,
    }
    assert counted.value("annotator_media_seconds_count") == 0


def test_stages_have_histograms_of_their_own() -> None:
    counted = Counted()
    counted.watch.settled([settled(ANNOTATION)], took_s=0.02)
    assert counted.value("annotator_media_stage_seconds_sum", stage="fetch") == 0.2
    assert counted.value("annotator_media_stage_seconds_bucket", stage="decode", le="0.0025") == 0
    assert counted.value("annotator_media_stage_seconds_bucket", stage="decode", le="0.005") == 1
    assert counted.value("annotator_media_stage_seconds_count", stage="embed") is None, "it had no face"
    assert counted.value("annotator_write_seconds_sum") == 0.02
    assert counted.value("annotator_media_seconds_count") == 1
    assert (counted.value("annotator_frames_total"), counted.value("annotator_faces_total")) == (20, 3)


def test_a_message_of_which_nothing_was_left_is_a_duplicate() -> None:
    counted = Counted()
    with counted.watch.message(1, media=2):
        counted.watch.claimed([claim_of(1), claim_of(2)], took_s=0.01)
    with counted.watch.message(1, media=2):
        counted.watch.claimed([], took_s=0.01)
    with counted.watch.message(2, media=1) as message:
        message.result = "returned"
    with pytest.raises(ZeroDivisionError), counted.watch.message(3, media=1):
        raise ZeroDivisionError
    counted.watch.malformed()
    results = {
        result: counted.value("annotator_messages_total", result=result)
        for result in ("ok", "duplicate", "returned", "failed", "malformed")
    }
    assert results == dict.fromkeys(results, 1.0)
    assert counted.value("annotator_media_claimed_total") == 2
    assert counted.value("annotator_claim_seconds_count") == 2


def test_a_session_that_was_lost_and_a_database_that_refused_are_counted() -> None:
    counted = Counted()
    counted.watch.session_lost([claim_of(1), claim_of(2)])
    counted.watch.database_refused()
    counted.watch.rests("local_disk")
    assert counted.value("annotator_sessions_lost_total") == 1
    assert counted.value("annotator_media_dropped_total") == 2
    assert counted.value("annotator_database_errors_total") == 1
    assert counted.value("annotator_worker_rests_total", reason="local_disk") == 1
    assert counted.value("annotator_worker_rests_total", reason="decoder_killed") == 0


def test_busy_stages_and_the_state_of_the_worker_are_shown_as_they_are_now() -> None:
    counted = Counted()
    counted.meters.set_threads("decode", 3)
    with counted.meters.busy("decode"):
        pass
    in_hand = [7]
    counted.metrics.follow(in_hand=lambda: in_hand[0], is_ready=lambda: True, version="1", model="m@1", worker="h:1")
    assert (counted.value("annotator_stage_busy_seconds_total", stage="decode") or 0) > 0
    assert counted.value("annotator_stage_threads", stage="decode") == 3
    assert counted.value("annotator_in_hand") == 7
    in_hand[0] = 8
    assert counted.value("annotator_in_hand") == 8
    assert counted.value("annotator_worker_ready") == 1
    assert counted.value("annotator_worker_info", version="1", model="m@1", worker="h:1") == 1


def test_faults_that_can_happen_are_there_before_they_happen() -> None:
    counted = Counted()
    assert counted.value("annotator_media_total", outcome="failed", reason="undecodable") == 0
    assert counted.value("annotator_media_retries_total", reason="source_unavailable") == 0


def test_two_workers_of_one_process_and_its_importers_share_no_metric() -> None:
    first, second = Counted(), Counted()
    first.watch.settled([settled(ANNOTATION)], took_s=0.1)
    assert second.media() == {}
    names = {family.name for family in prometheus_client.REGISTRY.collect()}
    assert not any(name.startswith("annotator") for name in names)


def test_without_a_port_nothing_is_shown() -> None:
    assert serve_metrics(Counted().metrics.registry, MetricsSettings()) is None


def test_jobs_of_beat_say_when_they_last_went_well_and_why_not() -> None:
    metrics = QueueMetrics()
    metrics.job_begun("feed", every_s=1.0, overdue_s=305.0)
    metrics.job_ended("feed", took_s=0.01)
    metrics.job_ended("feed", took_s=0.02, error=BrokerUnavailableError("away"))
    metrics.job_ended("sweep", took_s=0.02, error=ValueError("a bug"))
    value = metrics.registry.get_sample_value
    assert (value("annotator_job_success_timestamp_seconds", {"name": "feed"}) or 0) > 1.7e9
    assert value("annotator_job_success_timestamp_seconds", {"name": "sweep"}) is None
    assert value("annotator_job_period_seconds", {"name": "feed"}) == 1
    assert value("annotator_job_failures_total", {"name": "feed", "reason": "store_unavailable"}) == 0
    assert value("annotator_job_seconds_count", {"name": "feed"}) == 2
    assert value("annotator_job_failures_total", {"name": "feed", "reason": "broker_unavailable"}) == 1
    assert value("annotator_job_failures_total", {"name": "sweep", "reason": "internal"}) == 1


def test_a_job_that_was_left_to_a_worker_has_not_gone_well_yet() -> None:
    metrics = QueueMetrics()
    metrics.job_begun("roll-up", every_s=30.0, overdue_s=4050.0)
    value = metrics.registry.get_sample_value
    labels = {"name": "roll-up"}
    began = value("annotator_job_success_timestamp_seconds", labels) or 0.0
    metrics.job_ended("roll-up", took_s=0.01, is_done=False)
    assert value("annotator_job_success_timestamp_seconds", labels) == began
    assert value("annotator_job_seconds_count", labels) == 1
    assert value("annotator_job_overdue_seconds", labels) == 4050
    metrics.job_ended("roll-up", took_s=0.01)
    assert (value("annotator_job_success_timestamp_seconds", labels) or 0.0) > began


def test_what_the_sweeper_took_back_and_call_backs_are_counted() -> None:
    metrics = QueueMetrics()
    metrics.swept(sessions=1, media=40, suspects=4, given_up=2)
    metrics.swept_chunks(3)
    metrics.called_back("delivered")
    value = metrics.registry.get_sample_value
    swept = {what: value("annotator_swept_total", {"what": what}) for what in ("sessions", "media", "suspects")}
    assert swept == {"sessions": 1, "media": 40, "suspects": 4}
    assert value("annotator_swept_total", {"what": "given_up"}) == 2
    assert value("annotator_swept_total", {"what": "chunks"}) == 3
    assert value("annotator_callbacks_total", {"result": "delivered"}) == 1


def test_call_backs_are_counted_by_the_process_that_delivers_them(tmp_path: Path) -> None:
    told: list[str] = []
    url = f"sqlite:///{tmp_path / 'clips.db'}"
    app = create_app(load_settings(env_file=None, broker_url="redis://127.0.0.1:1/0", database_url=url))
    for context, listener in (
        (JobContext(app, on_call_back=told.append), told.append),
        (in_beat := JobContext(app), in_beat.metrics.called_back),
    ):
        (deliver,) = [job for job in make_jobs(context) if job.name == "deliver"]
        assert deliver.run.__self__._on_result == listener  # type: ignore[attr-defined]


def test_a_worker_shows_the_call_backs_that_it_has_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    tell_called_back("delivered")
    monkeypatch.setattr(_Process, "observing", Observing(counted.watch, counted.metrics, None, None))
    tell_called_back("delivered")
    assert counted.value("annotator_callbacks_total", result="delivered") == 1
