"""Look at all photographs of an experiment, with the networks, and remember what was found."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.cli.output import err, progress
from annotator.detection import DetectionParams, MtcnnDetector
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.photographs import FaceEmbedding, FaceFinder
from annotator.runtime import create_engine
from annotator.settings import load_settings
from trainer.checking import unreadable
from trainer.dataset.findings import Content, Findings
from trainer.dataset.scanning import changed, relative, scan
from trainer.problems import Problem
from trainer.settings import Device
from trainer.workdir import Experiment, photograph_files

MIN_FACE_PX: Final = 40
"""Smallest face by default; smaller ones are too poor to learn from."""

MIN_FACE_FRACTION: Final = 0.05
"""Of a photograph's shorter side: smaller faces are people in the background."""


@dataclass(frozen=True, slots=True)
class Survey:
    """All photographs of an experiment, with what was found on them.

    Attributes:
        contents: what was found, by path within the raw dataset; in the order of the paths.
        bad: photographs that cannot be read, which have no contents.
        looked_at: how many contents were new.

    """

    contents: Mapping[str, Content]
    bad: tuple[Problem, ...]
    looked_at: int


@dataclass(frozen=True, slots=True)
class Surveyor:
    """The networks, and the file of what they have found.

    Attributes:
        detector: finds faces.
        embedder: tells them apart.
        findings: the file.

    """

    detector: FaceFinder
    embedder: FaceEmbedding
    findings: Findings

    def new_files(self, experiment: Experiment) -> list[Path]:
        """Return the photographs that are new or have changed."""
        return changed(all_photographs(experiment), root=experiment.raw_dataset, stamps=self.findings.stamps())

    def survey(self, experiment: Experiment, *, bad: Sequence[Problem] | None = None) -> Survey:
        """Look at the photographs that are new or have changed, and return what is known of all.

        Args:
            experiment: the places.
            bad: photographs that cannot be read, where that is known already.

        """
        root, findings = experiment.raw_dataset, self.findings
        new = self.new_files(experiment)
        unread = tuple(unreadable(new) if bad is None else bad)
        bad_paths = {problem.path for problem in unread}
        paths = [relative(path, root) for path in all_photographs(experiment) if path not in bad_paths]
        findings.forget_files(findings.stamps().keys() - set(paths))
        readable = [path for path in new if path not in bad_paths]
        with progress("finding faces", total=len(readable)) as advance:
            looked_at = scan(
                readable, root=root, findings=findings, detector=self.detector, embedder=self.embedder, advance=advance
            )
        stamps, contents = findings.stamps(), findings.contents()
        return Survey({path: contents[stamps[path].sha256] for path in paths}, unread, looked_at)


@contextmanager
def opened_surveyor(experiment: Experiment, *, device: Device, min_face_px: int) -> Iterator[Surveyor]:
    """Load the networks and open the file of what they have found.

    Raises:
        ConfigError: the device or a weight file is not there.
        ModelError: a weight file fails its check.

    """
    with err().status("loading the networks"):
        settings = load_settings(device=device)
        engine = create_engine(settings.device, threads=settings.threads, cache_dir=settings.cache_dir / "networks")
        detector = MtcnnDetector(
            engine,
            params=DetectionParams(min_face_px=min_face_px, min_face_fraction=MIN_FACE_FRACTION),
            weights_dir=experiment.detection_weights(),
        )
        embedder = FaceEmbedder(engine, precision="f32")
    spec = {**detector.spec(), "embedder": embedder.network_id}
    with Findings(experiment.findings_file, spec=spec) as findings:
        yield Surveyor(detector, embedder, findings)


def all_photographs(experiment: Experiment) -> list[Path]:
    """Return all photographs of all people's folders, sorted."""
    return [path for folder in experiment.people_folders() for path in photograph_files(folder)]
