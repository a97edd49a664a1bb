"""Measure whether a head over frozen SFace embeddings names people better than their mean embeddings do.

    python benchmarks/sface_head.py                       # ../shared/data/people, some minutes
    python benchmarks/sface_head.py PEOPLE --epochs 5,20 --work DIR

Every head is fitted on all people of PEOPLE/gallery; a tenth of the photographs of those who have five or more chooses
the epoch. Then all are shown PEOPLE/glint24, photographs from another source, and PEOPLE/strangers. The baseline is
what the annotator does without a head: mean embeddings of the same photographs, centred, with c-norm. A report and a
comparison of each are written into the folder of work; the embeddings are kept there, too: a second run is quick.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from annotator.recognition.alignment import FACE_SIDE_PX
from annotator.recognition.photographs import people_folders, picture_files
from trainer.evaluation.comparison import compare_reports
from trainer.evaluation.comparison_html import comparison_html
from trainer.evaluation.embedding import shared_embedder
from trainer.evaluation.opening import open_fitted
from trainer.evaluation.probes import folder_probes, stranger_probes
from trainer.evaluation.recognisers import Recogniser
from trainer.evaluation.report import Report
from trainer.evaluation.running import write_report
from trainer.evaluation.trial import run_trial
from trainer.experiment import ArcFace, Augmentation, CentreLoss, CrossEntropy, Experiment, Loss, Network, Schedule
from trainer.fitting.fit import FitOptions, fit
from trainer.fitting.input import read_crop
from trainer.fitting.places import MODEL_FOLDER
from trainer.workdir import Experiment as Places

if TYPE_CHECKING:
    from annotator.recognition.embedding import FaceEmbedder

ROOT = Path(__file__).resolve().parents[1]
MIN_PHOTOGRAPHS = 5
BATCH = 512
EVERY = 10  # photograph of a person goes to the validation side
VARIANTS: dict[str, tuple[Network, Loss]] = {
    "arcface": (Network("sface-head", embedding_size=None, head="cosine"), ArcFace(0.3)),
    "arcface-256": (Network("sface-head", embedding_size=256, head="cosine"), ArcFace(0.3)),
    "cosine": (Network("sface-head", embedding_size=None, head="cosine"), CrossEntropy()),
    "centre-256": (Network("sface-head", embedding_size=256), CentreLoss()),
}


def lay_out(gallery: Path, places: Places) -> None:
    """Link the crops into the two sides of an experiment."""
    for folder in people_folders(gallery):
        files = picture_files(folder)
        for number, path in enumerate(files):
            is_val = len(files) >= MIN_PHOTOGRAPHS and number % EVERY == EVERY // 2
            side = places.val_dataset if is_val else places.train_dataset
            target = side / folder.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_symlink():
                target.symlink_to(path.resolve())


def remember(paths: Sequence[Path], file: Path) -> None:
    """Embed pictures, a few at a time, and keep what is done: another run goes on from there."""
    shown = dict.fromkeys(paths)
    kept: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
    if file.is_file():
        with np.load(file) as archive:
            kept = dict(zip(archive["keys"].tolist(), archive["embeddings"], strict=True))
    embedder = shared_embedder("cpu")
    embedder.remember([bytes.fromhex(key) for key in kept], np.array(list(kept.values()), np.float32))
    batches = [list(shown)[start : start + BATCH] for start in range(0, len(shown), BATCH)]
    for number, batch in enumerate(batches):
        crops = np.stack([read_crop(path, FACE_SIDE_PX) for path in batch])
        keys = [sha256(crop.tobytes()).hexdigest() for crop in crops]
        if all(key in kept for key in keys):
            continue
        kept |= dict(zip(keys, embedder.embed(crops), strict=True))
        part = file.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez(stream, keys=np.array(list(kept)), embeddings=np.array(list(kept.values())))
        part.replace(file)
        print(f"embedded {number + 1} of {len(batches)} batches", flush=True)


def fitted(places: Places, experiment: Experiment) -> None:
    """Fit; each face has been embedded once for all."""
    embedder = cast("FaceEmbedder", shared_embedder("cpu"))
    fit(places, experiment, FitOptions(make_embedder=lambda: embedder))


def recognisers(places: Places) -> Iterator[Recogniser]:
    """Yield what can name people by a fitted head."""
    by_means = open_fitted(places, "prototypes", device="cpu")
    yield replace(by_means, name=f"{places.name}: means, c-norm")
    yield replace(open_fitted(places, "head", device="cpu"), name=f"{places.name}: class head")
    from trainer.fitting.weights import load_fitted  # noqa: PLC0415 - imports Keras, for which the back end must be settled

    built, network, _ = load_fitted(places.folder / MODEL_FOLDER)
    if network.head == "cosine":
        kernel = np.asarray(built.learning.get_layer("fc2").kernel, np.float32)[0, 0].T
        directions = kernel / np.linalg.norm(kernel, axis=1, keepdims=True)
        bundle = replace(by_means.bundle, prototypes=directions, mean=directions.mean(axis=0))
        yield replace(by_means, bundle=bundle, name=f"{places.name}: directions, c-norm")


def main() -> None:
    """Fit, evaluate, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", nargs="?", type=Path, default=ROOT / ".." / "shared" / "data" / "people")
    parser.add_argument("--work", type=Path, default=Path(gettempdir()) / "annotator-sface-head")
    parser.add_argument("--epochs", default="5,30", help="how long each head is fitted")
    arguments = parser.parse_args()

    probes, strangers = folder_probes(arguments.people / "glint24"), stranger_probes(arguments.people / "strangers")
    arguments.work.mkdir(parents=True, exist_ok=True)
    pictures = [path for folder in people_folders(arguments.people / "gallery") for path in picture_files(folder)]
    remember([*(one.path for one in (*probes, *strangers)), *pictures], arguments.work / "embeddings.npz")
    baseline = None
    for name, (network, loss) in VARIANTS.items():
        for epochs in [int(number) for number in arguments.epochs.split(",")]:
            places = Places(f"{name}-{epochs}", arguments.work)
            lay_out(arguments.people / "gallery", places)
            schedule = Schedule(epochs=epochs, batch=256, halve_every_epochs=max(1, epochs // 4))
            experiment = Experiment(network, loss, Augmentation(copies=0), schedule)
            fitted(places, experiment)
            for recogniser in recognisers(places):
                is_same = network.embedding_size is None and "means" in recogniser.name
                if is_same and baseline is not None:
                    continue  # SFace's own embeddings, whatever the head
                report = Report.of(run_trial(recogniser, probes, strangers))
                folder = arguments.work / "reports" / recogniser.name.replace(": ", "-").replace(", ", "-")
                write_report(folder, report, [*probes, *strangers])
                baseline = baseline or report
                comparison = compare_reports(baseline, report)
                (folder / "comparison.html").write_text(comparison_html(comparison), encoding="utf-8")
                (folder / "comparison.json").write_text(json.dumps(comparison.to_json(), indent=1), encoding="utf-8")
                print(f"\n{'baseline, ' if report is baseline else ''}{recogniser.name}", flush=True)
                for one in comparison.differences:
                    print(
                        f"  {one.measure:32} {100 * one.after:5.1f} %  {100 * one.change:+5.1f} "
                        f"({100 * one.low:+.1f} to {100 * one.high:+.1f}; +{one.gained} -{one.lost}, "
                        f"p {one.mcnemar_p:.2g})",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
