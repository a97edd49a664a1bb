"""Build a model bundle from photographs of people and of strangers.

Everything is embedded in f32, in sorted order and batches of fixed shape: the same photographs give the same bytes on
the same machine. No photograph goes into the bundle.
"""

import csv
import io
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any, Final

import numpy as np

from annotator.errors import ConfigError
from annotator.recognition.bundle import CREDITS, LICENSE, MODEL_CARD, ModelBundle, write_bundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.collection import (
    BuildSources,
    Collection,
    collect_pictures,
    identities_of,
    picture_name,
)
from annotator.recognition.photographs import FaceEmbedding, FaceFinder, data_digest, picture_files, read_aligned
from annotator.recognition.prototypes import choose_pictures, leave_one_out, mean_prototypes
from annotator.recognition.revocation import RevocationList
from annotator.recognition.trial import (
    FEW_PHOTOGRAPHS,
    LeftOut,
    TrialScores,
    probe_tracks,
    run_trial,
    share,
    size_points,
)
from annotator.types import F32, I64, U8

DEFAULT_CARD: Final = (
    "# $name@$version\n\n$people people from $photographs photographs, embedded by $embedder. $strangers strangers "
    "and $left_out left-out people calibrated it.\n\n$figures\n"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuildParams:
    """What is chosen when a bundle is built.

    Attributes:
        face_sizes_px: sizes at which it is calibrated.
        variants: made-up faces of a made-up track.
        rates: false positive rates (FPIR) for which there are thresholds.
        max_false_positive_rate: the one of them that is used.
        prior: assumed share of tracks that show somebody of the gallery.
        min_face_px: smaller faces are «too poor».
        sharp_below_px: smaller faces must reach ``min_quality``.
        min_quality: under it fewer than one known person in four is found, at 24 to 40 pixels.
        cohort: neighbours that normalise a score.

    """

    face_sizes_px: tuple[int, ...] = (24, 32, 48, 64, 112)
    variants: int = 2
    rates: tuple[float, ...] = (0.01, 0.003, 0.001)
    max_false_positive_rate: float = 0.003
    prior: float = 0.1
    min_face_px: float = 32.0
    sharp_below_px: float = 48.0
    min_quality: float = 0.45
    cohort: int = 300

    def calibration(self, points: tuple[SizePoint, ...]) -> Calibration:
        """Return the calibration with these points."""
        return Calibration(
            points=points,
            rates=self.rates,
            max_false_positive_rate=self.max_false_positive_rate,
            prior=self.prior,
            min_face_px=self.min_face_px,
            sharp_below_px=self.sharp_below_px,
            min_quality=self.min_quality,
            cohort=self.cohort,
        )


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """What a bundle is called and what goes with it.

    Attributes:
        name: short, of a-z, 0-9, dot, dash, underscore.
        version: counts up.
        licence: one line for the manifest.
        model_card: a text with ``$placeholders``, those of ``DEFAULT_CARD``.
        licence_text: the text of the licence.
        revoked: the revocation list that the bundle carries; by default an empty one, its salt taken from the pictures.
        calibration: one that was fitted elsewhere, to drawn clips; by default it is told from made-up tracks.
        calibrated: for the manifest, where it comes from and how reliable it is.

    """

    name: str
    version: int = 1
    licence: str = "all rights reserved"
    model_card: str = DEFAULT_CARD
    licence_text: str = "All rights reserved.\n"
    revoked: RevocationList | None = None
    calibration: Calibration | None = None
    calibrated: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What building has done.

    Attributes:
        bundle: as written.
        dropped: ``(folder/picture, why)`` of the pictures left out.
        left_out: why people were left out who have pictures, by name.

    """

    bundle: ModelBundle
    dropped: tuple[tuple[str, str], ...]
    left_out: Mapping[str, str]


def build_bundle(
    sources: BuildSources,
    *,
    out: Path,
    embedder: FaceEmbedding,
    detector: FaceFinder,
    info: BundleInfo,
    params: BuildParams | None = None,
) -> BuildReport:
    """Build a bundle and write it.

    Args:
        sources: the pictures.
        out: the bundle's folder; made if missing.
        embedder: must run in f32.
        detector: finds the faces of whole photographs.
        info: name and texts.
        params: what can be chosen.

    Raises:
        ConfigError: a folder is missing, a crop has another size, too few people or strangers, or bf16.
        UndecodableMediaError: a file is no picture.

    """
    if embedder.precision != "f32":
        raise ConfigError("a model bundle is built in f32, the embedder runs in bf16: set its precision to f32")
    params = params or BuildParams()
    pictures = collect_pictures(sources, embedder=embedder, detector=detector)
    stranger_files = picture_files(sources.strangers_dir)
    if not pictures.crops or not stranger_files:
        raise ConfigError("a bundle is built from pictures of people and calibrated on strangers: give some of both")
    gallery = _Gallery.of(pictures, embedder)
    draft = gallery.bundle(info, params, sources, embedder.network_id)
    trials = gallery.trials(draft, read_aligned(stranger_files), embedder=embedder, params=params)
    points = size_points({size: trial for size, (trial, _) in trials.items()}, params.rates)
    data_sha256 = data_digest([*pictures.paths, *stranger_files])
    manifest = {
        "normalisation": "(x - 127.5) / 128, inside the network",
        "licence": info.licence,
        "people": len(gallery.names),
        "people_left_out": dict(sorted(Counter(pictures.left_out.values()).items())),
        "photographs": len(gallery.person),
        "photographs_dropped": dict(sorted(Counter(why for _, why in gallery.dropped).items())),
        "data_sha256": data_sha256,
        "metrics": trial_metrics(trials, gallery.left_out, points, params),
        **({"calibrated": dict(info.calibrated)} if info.calibrated is not None else {}),
    }
    bundle = replace(draft, calibration=info.calibration or params.calibration(points), manifest=manifest)
    texts = {
        CREDITS: credits_table(bundle, pictures.sources),
        MODEL_CARD: _card(bundle, info),
        LICENSE: info.licence_text,
    }
    write_bundle(out, bundle, texts=texts, revoked=info.revoked or RevocationList(data_sha256[:32]))
    return BuildReport(bundle, tuple(gallery.dropped), dict(sorted(pictures.left_out.items())))


@dataclass(frozen=True, slots=True, eq=False)
class _Gallery:
    """The pictures that stay, by person, and one picture of each person to try the gallery with."""

    names: list[str]
    person: I64
    prototypes: F32
    counts: I64
    probes: U8
    left_out: LeftOut
    dropped: list[tuple[str, str]]

    @classmethod
    def of(cls, pictures: Collection, embedder: FaceEmbedding) -> "_Gallery":
        crops = np.stack(pictures.crops)
        _log.info("embedding %d pictures", len(crops))
        embeddings = embedder.embed(crops)
        _, said_to_show = np.unique(pictures.people, return_inverse=True)
        kept, dropped = choose_pictures(embeddings, said_to_show.astype(np.int64))
        names, person = np.unique([pictures.people[index] for index in kept], return_inverse=True)
        person = person.astype(np.int64)
        left_pictures, left_out = leave_one_out(embeddings[kept], person, len(names))
        if not len(left_pictures):
            raise ConfigError("nobody has two photographs that agree: a bundle is calibrated on people who have")
        prototypes, counts = mean_prototypes(embeddings[kept], person, len(names))
        described = [(picture_name(pictures.paths[item.picture]), item.why) for item in dropped]
        return cls(
            names=[str(name) for name in names],
            person=person,
            prototypes=prototypes,
            counts=counts,
            probes=crops[kept][left_pictures],
            left_out=left_out,
            dropped=[*pictures.skipped, *described],
        )

    def bundle(self, info: BundleInfo, params: BuildParams, sources: BuildSources, embedder: str) -> ModelBundle:
        """Return the bundle, not yet calibrated."""
        placeholder = SizePoint(1.0, (0.0,) * len(params.rates), 1.0, 0.0)
        return ModelBundle(
            name=info.name,
            version=info.version,
            embedder=embedder,
            identities=identities_of(self.names, sources.labels),
            prototypes=self.prototypes,
            photo_counts=self.counts.astype(np.int32),
            mean=self.prototypes.astype(np.float64).mean(axis=0).astype(np.float32),
            calibration=params.calibration((placeholder,)),
        )

    def trials(
        self, draft: ModelBundle, strangers: U8, *, embedder: FaceEmbedding, params: BuildParams
    ) -> dict[int, tuple[TrialScores, TrialScores]]:
        """Return, by face size, the trials of the rule and of the plain mean."""
        trials = {}
        for size in params.face_sizes_px:
            _log.info("trying %d left-out people and %d strangers at %d px", len(self.probes), len(strangers), size)
            known, unknown = (
                probe_tracks(faces, face_px=size, variants=params.variants, embedder=embedder)
                for faces in (self.probes, strangers)
            )
            rule, plain = (
                run_trial(draft, self.left_out, probes=known, strangers=unknown, is_plain=is_plain)
                for is_plain in (False, True)
            )
            trials[size] = (rule, plain)
        return trials


def trial_metrics(
    trials: Mapping[int, tuple[TrialScores, TrialScores]],
    left_out: LeftOut,
    points: tuple[SizePoint, ...],
    params: BuildParams,
) -> dict[str, Any]:
    """Return the shares of left-out people who are found, by face size and false positive rate."""
    has_few = left_out.has_few
    scores_of = {int(point.face_px): point.min_scores for point in points}
    plain_of = {
        int(point.face_px): point.min_scores
        for point in size_points({size: plain for size, (_, plain) in trials.items()}, params.rates)
    }
    rows: dict[str, Any] = {}
    for size, (rule, plain) in sorted(trials.items(), reverse=True):
        row: dict[str, Any] = {"rank_1": share(rule.own > rule.other)}
        for rate, min_score, plain_score in zip(params.rates, scores_of[size], plain_of[size], strict=True):
            found = rule.found(min_score)
            row[f"fpir_{rate:g}"] = {
                "tpir": share(found),
                "tpir_few_photographs": share(found[has_few]),
                "tpir_plain_mean": share(plain.found(plain_score)),
            }
        rows[f"{size}_px"] = row
    strangers = next(iter(trials.values()))[0].stranger
    return {
        "left_out_people": len(has_few),
        "left_out_people_few_photographs": int(has_few.sum()),
        "few_photographs": FEW_PHOTOGRAPHS,
        "strangers": len(strangers),
        "variants": params.variants,
        "by_face_size": rows,
    }


def credits_table(bundle: ModelBundle, sources: Mapping[str, str]) -> str:
    """Return the text of ``credits.csv``: where the photographs of each person came from, by name."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "photographs", "sources"])
    for person, count in zip(bundle.identities, bundle.photo_counts, strict=True):
        writer.writerow([person.name, int(count), sources.get(person.name, "")])
    return text.getvalue()


def _card(bundle: ModelBundle, info: BundleInfo) -> str:
    metrics = bundle.manifest["metrics"]
    values = {
        "name": bundle.name,
        "version": bundle.version,
        "embedder": bundle.embedder,
        "people": f"{len(bundle.identities):,}",
        "people_left_out": sum(bundle.manifest["people_left_out"].values()),
        "photographs": f"{bundle.manifest['photographs']:,}",
        "dropped": sum(bundle.manifest["photographs_dropped"].values()),
        "with_id": sum(person.kg_mid is not None for person in bundle.identities),
        "few_people": int((bundle.photo_counts <= FEW_PHOTOGRAPHS).sum()),
        "left_out": f"{metrics['left_out_people']:,}",
        "left_out_few": f"{metrics['left_out_people_few_photographs']:,}",
        "strangers": f"{metrics['strangers']:,}",
        "figures": figures_table(metrics["by_face_size"]),
    }
    return Template(info.model_card).substitute(values)


def figures_table(by_face_size: Mapping[str, Any]) -> str:
    """Return the table of figures, in per cent."""
    rates = [key for key in next(iter(by_face_size.values())) if key.startswith("fpir_")]
    heads = [
        f"{kind} at FPIR {float(rate[5:]):.1%}" for rate in rates for kind in ("all", "few photographs", "plain mean")
    ]
    lines = ["| face | nearest is right | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for size, row in by_face_size.items():
        cells = [row["rank_1"], *(row[rate][kind] for rate in rates for kind in row[rate])]
        shown = " | ".join("" if cell is None else f"{100 * cell:.1f}" for cell in cells)
        lines.append(f"| {size.replace('_', ' ')} | {shown} |")
    return "\n".join(lines)
