"""Results as rows, for the writer."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from annotator.store.labels import identify_all, load_evidence, save_labels
from annotator.store.queue.outbox import ReceiverMemory, Told, tell_media
from annotator.store.queue.work import Report
from annotator.store.tables import WorkState
from annotator.store.writes import write_outcomes
from annotator.types import TrackEvidence, TrackLabel
from workers.annotating.engine import Outcome


class StoreRows:
    """Writes annotations of one network, labelled by one labelling."""

    def __init__(
        self,
        *,
        network_id: int,
        labelling_id: int,
        identify: Callable[[Sequence[TrackEvidence]], Sequence[TrackLabel]],
    ) -> None:
        """Take the ids.

        Args:
            network_id: what makes the tracks.
            labelling_id: what makes the labels.
            identify: labels stored evidence, for contents that are annotated but not labelled.

        """
        self._network_id = network_id
        self._labelling_id = labelling_id
        self._identify = identify
        self._receivers = ReceiverMemory()

    @property
    def network_id(self) -> int:
        """The network whose work this is."""
        return self._network_id

    @property
    def labelling_id(self) -> int:
        """What labels the results."""
        return self._labelling_id

    def write(self, connection: Connection, outcomes: Sequence[Outcome], media_ids: Mapping[str, int]) -> None:
        """Write annotations and links to known contents in the caller's transaction."""
        report = write_outcomes(
            connection, outcomes, network_id=self._network_id, labelling_id=self._labelling_id, media_ids=media_ids
        )
        if report.to_relabel:
            evidence = load_evidence(connection, self._network_id, sorted(report.to_relabel))
            save_labels(connection, self._labelling_id, identify_all(self._identify, evidence))

    def tell(self, connection: Connection, reports: Sequence[Report]) -> None:
        """Write what is to be told of settled media whose backlogs have a receiver."""
        settled = [one for one in reports if one.state != WorkState.PENDING]
        wanted = self._receivers.with_receiver(connection, {one.claim.run_id for one in settled})
        if not wanted:
            return
        told = [
            Told(one.claim.media_id, run_id, f"{one.claim.session_id}-{one.claim.attempts}", one.reason, one.message)
            for one in settled
            if (run_id := one.claim.run_id) in wanted and run_id is not None
        ]
        tell_media(connection, told, network_id=self._network_id, labelling_id=self._labelling_id)
