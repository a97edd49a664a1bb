"""What is evaluated, on what; and the evaluation itself."""

from dataclasses import dataclass
from pathlib import Path

from annotator.build import open_bundle
from annotator.errors import ConfigError
from annotator.recognition.crops import ALIGNED, FaceCrop
from annotator.settings import load_settings
from trainer.evaluation.clips import evaluate_clips
from trainer.evaluation.measures import threshold_of
from trainer.evaluation.opening import experiment_crop, open_fitted, open_model
from trainer.evaluation.probes import Probe, experiment_probes, folder_probes, stranger_probes
from trainer.evaluation.recognisers import GalleryRecogniser, Kind, Recogniser
from trainer.evaluation.report import Report
from trainer.evaluation.trial import run_trial
from trainer.fitting.places import fitted_crop
from trainer.settings import Device
from trainer.workdir import Experiment


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown to a recogniser.

    Attributes:
        experiment: whose validation side is shown where no folder is given.
        faces: a folder of aligned crops for each person, shown instead.
        strangers: a folder of aligned crops of people who are nobody of the labels.
        sizes_px: how small faces are made, too.
        clips: a folder of clips.
        truth: who is seen in them.

    """

    experiment: Experiment | None = None
    faces: Path | None = None
    strangers: Path | None = None
    sizes_px: tuple[int, ...] = ()
    clips: Path | None = None
    truth: Path | None = None

    def probes(self) -> tuple[list[Probe], list[Probe]]:
        """Return faces of people, and faces of strangers.

        Raises:
            ConfigError: there are none of people, or a folder is not there.

        """
        if (self.clips is None) != (self.truth is None):
            raise ConfigError("clips need their truth, and the truth its clips: give both --clips and --truth")
        if self.faces is not None:
            probes = folder_probes(self.faces)
        elif self.experiment is not None:
            probes = experiment_probes(self.experiment)
        else:
            raise ConfigError("there is nothing to evaluate on: give EXPERIMENT, or a folder with --faces")
        return probes, stranger_probes(self.strangers) if self.strangers is not None else []

    def check_crop(self, taken: FaceCrop) -> None:
        """Check that the faces shown are cut as a recogniser takes them; another side is brought to its own.

        Raises:
            ConfigError: they are not.

        """
        given = ALIGNED if self.faces is not None or self.experiment is None else experiment_crop(self.experiment)
        if (given.kind, given.margin) != (taken.kind, taken.margin):
            raise ConfigError(
                f"faces are cut as «{given.kind}» with a margin of {given.margin:g}, and «{taken.kind}» with "
                f"{taken.margin:g} is what the network takes: show it faces that are cut so"
            )
        if self.strangers is not None and not taken.is_as_clips_give:
            raise ConfigError(
                f"{self.strangers} holds aligned crops, and «{taken.kind}» with a margin of {taken.margin:g} is what "
                "the network takes: leave --strangers out, people who are left out stand for strangers then"
            )


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated.

    Attributes:
        experiment: whose fitted network; None for a model.
        model: a bundle as the annotator takes it; None for the experiment's network.
        kind: prototypes or head, of a network.

    """

    experiment: Experiment | None
    model: str | None = None
    kind: Kind = "prototypes"

    def crop(self) -> FaceCrop:
        """Return how faces are cut for it; no network is loaded for that.

        Raises:
            ConfigError: it is not there.
            ModelError: a bundle fails its checks.

        """
        if self.model is not None:
            network = open_bundle(load_settings(model=self.model)).network
            return ALIGNED if network is None else network.crop
        if self.experiment is None:
            raise ConfigError("there is nothing to evaluate: give EXPERIMENT, or a model with --model")
        return fitted_crop(self.experiment) or experiment_crop(self.experiment)

    def open(self, device: Device) -> Recogniser:
        """Load it.

        Raises:
            ConfigError: it is not there.
            ModelError: it fails its checks.

        """
        if self.model is not None:
            return open_model(self.model, device=device)
        if self.experiment is None:
            raise ConfigError("there is nothing to evaluate: give EXPERIMENT, or a model with --model")
        return open_fitted(self.experiment, self.kind, device=device)


def evaluate(subject: Subject, shown: Shown, *, device: Device) -> tuple[Report, list[Probe]]:
    """Evaluate, and return the report with the probes, for their pictures.

    Raises:
        ConfigError: something named is not there.
        InputError: a crop cannot be read.
        ModelError: a model or network fails its checks.

    """
    probes, strangers = shown.probes()
    shown.check_crop(subject.crop())
    recogniser = subject.open(device)
    trial = run_trial(recogniser, probes, strangers, sizes_px=shown.sizes_px)
    if not trial.known:
        raise ConfigError(
            f"{recogniser.name} knows nobody of the people shown: evaluate it on photographs of people whom it knows"
        )
    clips = None
    if shown.clips is not None and shown.truth is not None:
        if not isinstance(recogniser, GalleryRecogniser):
            raise ConfigError("clips are annotated by a model or by prototypes: leave --by head out")
        clips = evaluate_clips(recogniser, shown.clips, shown.truth, threshold=threshold_of(trial), device=device)
    return Report.of(trial, clips=clips, remarks=remarks_on(subject, shown, recogniser)), [*probes, *strangers]


def remarks_on(subject: Subject, shown: Shown, recogniser: Recogniser) -> list[str]:
    """Return what a reader must know to judge the numbers."""
    told = []
    if subject.model is None:
        told.append(
            "The network was fitted with the people who are left out: only strangers of a folder of their own are new "
            "to it."
        )
        told.append("No threshold was ever set: names are judged at one that 1 % of the strangers here exceed.")
    elif shown.faces is None:
        told.append("Whether the model was built from these photographs is not known here.")
    if shown.sizes_px and recogniser.crop != ALIGNED:
        told.append("Faces were not made small: the network takes another kind of crop.")
    return told
