"""``trainer prepare``: look at new photographs, choose faces, split, cut out what is not there yet."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from annotator.cli.output import remark
from annotator.recognition.crops import FaceCrop
from trainer.checking import mismatches, unreadable
from trainer.dataset.cropping import CropFolders
from trainer.dataset.cutting import crop_text
from trainer.dataset.files import disk_errors, only_worker, write_whole
from trainer.dataset.findings import Content
from trainer.dataset.listing import left_out_text, samples_text
from trainer.dataset.planning import Plan, Portrait, plan_dataset, portraits
from trainer.dataset.splitting import read_sides, sides_text
from trainer.dataset.surveying import MIN_FACE_PX, all_photographs, opened_surveyor
from trainer.forgetting import insist_on_nobody_taken_down
from trainer.labels import LabelTable
from trainer.problems import ProblemsError
from trainer.settings import Device
from trainer.workdir import Experiment, inspect_experiment


@dataclass(frozen=True, slots=True)
class PrepareParams:
    """What a user may choose.

    Attributes:
        crop: how faces are cut out.
        takes_all_faces: every clear face of a photograph instead of the person's.
        min_face_px: smallest face, in pixels of the photograph.
        val_share: share of a person's photographs to evaluate on, in [0, 1).

    """

    crop: FaceCrop = field(default_factory=FaceCrop)
    takes_all_faces: bool = False
    min_face_px: int = MIN_FACE_PX
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


def prepare(experiment: Experiment, params: PrepareParams, *, device: Device) -> Prepared:
    """Bring the crops of an experiment up to date with its photographs.

    Args:
        experiment: the places.
        params: what a user may choose.
        device: what runs the networks.

    Raises:
        ProblemsError: something is wrong with the data; nothing was done.
        ConfigError: the device is not there.
        TakenDownError: a label is of somebody who was taken down.
        BusyError: another process works on this experiment.
        LocalDiskError: the disk is full; the next run goes on from there.

    """
    with only_worker(experiment.folder), disk_errors(experiment.folder):
        labels = _checked_labels(experiment)
        kept = read_sides(experiment.split_file)
        with opened_surveyor(experiment, device=device, min_face_px=params.min_face_px) as surveyor:
            bad = unreadable(surveyor.new_files(experiment))
            if bad:
                raise ProblemsError(bad)
            survey = surveyor.survey(experiment, bad=())
            shown = _portraits(labels, survey.contents)
            plan = plan_dataset(shown, val_share=params.val_share, kept=kept, takes_all_faces=params.takes_all_faces)
            write_whole(experiment.split_file, sides_text(plan.split.sides).encode())
            folders = CropFolders(experiment, survey.contents, surveyor.findings, params.crop)
            written, removed = folders.update(plan.samples)
            write_whole(experiment.dataset_file, samples_text(plan.samples).encode())
            write_whole(experiment.crop_file, crop_text(params.crop).encode())
            write_whole(experiment.left_out_file, left_out_text(plan.left_out).encode())
        return Prepared(len(shown), survey.looked_at, written, removed, plan)


def _checked_labels(experiment: Experiment) -> LabelTable:
    """Return the labels; what is wrong is told before a network is loaded, photographs that cannot be read included."""
    labels, problems = inspect_experiment(experiment)
    if problems:
        raise ProblemsError((*problems, *unreadable(all_photographs(experiment))))
    insist_on_nobody_taken_down([label.identity for label in labels.labels])
    for mismatch in mismatches(experiment, labels):
        remark(f"remark: {mismatch}")
    return labels


def _portraits(labels: LabelTable, contents: Mapping[str, Content]) -> list[Portrait]:
    """Return the photographs of people with a label, with the face that is the person."""
    folders = {path.split("/", maxsplit=1)[0] for path in contents}
    known = {name: label for name in folders if (label := labels.of_folder(name)) is not None}
    return portraits(tuple(contents), contents=contents, labels=known)
