"""``trainer prepare``: look at new photographs, choose faces, split, cut out what is not there yet."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from annotator.cli.output import err, progress, remark
from annotator.detection import DetectionParams, MtcnnDetector
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.photographs import FaceEmbedding
from annotator.runtime import create_engine
from annotator.settings import load_settings
from trainer.checking import mismatches, unreadable
from trainer.dataset.cropping import CropFolders
from trainer.dataset.cutting import CropParams
from trainer.dataset.files import disk_errors, only_worker, write_whole
from trainer.dataset.findings import Content, Findings
from trainer.dataset.listing import left_out_text, samples_text
from trainer.dataset.planning import Plan, Portrait, plan_dataset, portraits
from trainer.dataset.scanning import changed, relative, scan
from trainer.dataset.splitting import read_sides, sides_text
from trainer.labels import LabelTable
from trainer.problems import ProblemsError
from trainer.settings import Device
from trainer.workdir import Experiment, inspect_experiment, photograph_files

MIN_FACE_FRACTION: Final = 0.05
"""Of a photograph's shorter side: smaller faces are people in the background."""


@dataclass(frozen=True, slots=True)
class PrepareParams:
    """What a user may choose.

    Attributes:
        crop: how faces are cut out.
        takes_all_faces: every clear face of a photograph instead of the person's.
        min_face_px: smallest face, in pixels of the photograph.
        val_share: share of a person's photographs to evaluate on, in [0, 1).

    """

    crop: CropParams = field(default_factory=CropParams)
    takes_all_faces: bool = False
    min_face_px: int = 40
    val_share: float = 0.1


@dataclass(frozen=True, slots=True)
class Prepared:
    """What has been done.

    Attributes:
        photographs: of all people with a label.
        looked_at: contents that were new.
        written: crops that were new.
        removed: crops that have no photograph any more, or another place.
        plan: what the data is now.

    """

    photographs: int
    looked_at: int
    written: int
    removed: int
    plan: Plan

    def facts(self) -> dict[str, object]:
        """Return it as JSON values."""
        sides = Counter(sample.side for sample in self.plan.samples)
        return {
            "photographs": self.photographs,
            "looked_at": self.looked_at,
            "people": len({sample.label for sample in self.plan.samples}),
            "train": sides["train"],
            "val": sides["val"],
            "written": self.written,
            "removed": self.removed,
            "moved_to_train": len(self.plan.split.moved),
            "left_out": dict(Counter(one.why for one in self.plan.left_out)),
        }


@dataclass(frozen=True, slots=True)
class Survey:
    """All photographs of an experiment, with what was found on them.

    Attributes:
        labels: of the experiment.
        paths: of all photographs, within the raw dataset, those of folders without a label included.
        contents: what was found, by path.
        looked_at: how many contents were new.
        embedder: names the network that embeddings come from.

    """

    labels: LabelTable
    paths: tuple[str, ...]
    contents: Mapping[str, Content]
    looked_at: int
    embedder: str

    def portraits(self) -> list[Portrait]:
        """Return the photographs of people with a label, with the face that is the person."""
        folders = {path.split("/", maxsplit=1)[0] for path in self.paths}
        known = {name: label for name in folders if (label := self.labels.of_folder(name)) is not None}
        return portraits(self.paths, contents=self.contents, labels=known)


def prepare(experiment: Experiment, params: PrepareParams, *, device: Device) -> Prepared:
    """Bring the crops of an experiment up to date with its photographs.

    Args:
        experiment: the places.
        params: what a user may choose.
        device: what runs the networks.

    Raises:
        ProblemsError: something is wrong with the data; nothing was done.
        ConfigError: the device is not there, or another process prepares this experiment.
        LocalDiskError: the disk is full; the next run goes on from there.

    """
    with only_worker(experiment.folder), disk_errors(experiment.folder):
        with opened_findings(experiment, device=device, min_face_px=params.min_face_px) as looking:
            kept = read_sides(experiment.split_file)
            survey = looking.survey(experiment)
            shown = survey.portraits()
            plan = plan_dataset(shown, val_share=params.val_share, kept=kept, takes_all_faces=params.takes_all_faces)
            write_whole(experiment.split_file, sides_text(plan.split.sides).encode())
            written, removed = CropFolders(experiment, survey.contents, looking.findings, params.crop).update(
                plan.samples
            )
            write_whole(experiment.dataset_file, samples_text(plan.samples).encode())
            write_whole(experiment.left_out_file, left_out_text(plan.left_out).encode())
        return Prepared(len(shown), survey.looked_at, written, removed, plan)


@dataclass(frozen=True, slots=True)
class Looking:
    """The networks, and the file of what they have found."""

    detector: MtcnnDetector
    embedder: FaceEmbedding
    findings: Findings

    def survey(self, experiment: Experiment) -> Survey:
        """Check an experiment, and look at the photographs that are new or have changed.

        Raises:
            ProblemsError: something is wrong with the data; no photograph was looked at.

        """
        root, findings = experiment.raw_dataset, self.findings
        files = [path for folder in experiment.people_folders() for path in photograph_files(folder)]
        stamps = findings.stamps()
        new = changed(files, root=root, stamps=stamps)
        labels, problems = inspect_experiment(experiment)
        problems = (*problems, *unreadable(new))
        if problems:
            raise ProblemsError(problems)
        for mismatch in mismatches(experiment, labels):
            remark(f"remark: {mismatch}")
        paths = tuple(relative(path, root) for path in files)
        findings.forget_files(stamps.keys() - set(paths))
        with progress("finding faces", total=len(new)) as advance:
            looked_at = scan(
                new, root=root, findings=findings, detector=self.detector, embedder=self.embedder, advance=advance
            )
        stamps, contents = findings.stamps(), findings.contents()
        found = {path: contents[stamps[path].sha256] for path in paths}
        return Survey(labels, paths, found, looked_at, self.embedder.network_id)


@contextmanager
def opened_findings(experiment: Experiment, *, device: Device, min_face_px: int) -> Iterator[Looking]:
    """Load the networks and open the file of what they have found."""
    labels_problems = inspect_experiment(experiment)[1]
    if labels_problems:  # before a network is loaded
        files = [path for folder in experiment.people_folders() for path in photograph_files(folder)]
        raise ProblemsError((*labels_problems, *unreadable(files)))
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
        yield Looking(detector, embedder, findings)
