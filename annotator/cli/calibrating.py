"""``annotator calibrate``: which share of an archive's tracks shows somebody whom the model knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.build import build_gallery, build_identifier
from annotator.cli.database import open_store
from annotator.cli.output import err, out, print_json_line, print_table, progress, remark
from annotator.cli.relabelling import network_to_label
from annotator.errors import ConfigError
from annotator.recognition.decision import Identifier
from annotator.recognition.prior import PriorEstimate, estimate_prior, expected_right, names_of, with_answers
from annotator.settings import load_settings
from annotator.store.relabelling.sampling import SampledTracks, count_contents, sample_tracks

CONFIDENCES: Final = (0.98, 0.9)
"""Least confidences of which it is told how many names have them."""

FEW_TRACKS: Final = 1_000
"""Of fewer tracks the interval is wide, which is said."""


@dataclass(frozen=True, slots=True)
class PriorReport:
    """What an archive says of its prior.

    Attributes:
        model: whose people are looked for.
        model_prior: the model's own prior.
        prior: that is in use: the settings', else the model's.
        sample: the tracks that were looked at.
        estimate: what they say.

    """

    model: str
    model_prior: float
    prior: float
    sample: SampledTracks
    estimate: PriorEstimate

    @property
    def setting(self) -> str:
        """What takes the estimate over: two digits say all that such an estimate knows. It is never 1."""
        prior = self.estimate.prior
        rounded = f"{prior:.2g}"
        if float(rounded) == 1:
            rounded = f"{1 - float(f'{1 - prior:.1g}'):g}"
        return f"ANNOTATOR_PRIOR={rounded}"

    def names(self, prior: float, min_confidence: float) -> int:
        """Return how many names of the sample are so sure under a prior."""
        sample = self.sample
        return names_of(sample.log_ratios, sample.is_named, prior=prior, min_confidence=min_confidence)

    @property
    def judged(self) -> int:
        """Of how many names of the sample somebody has said whether they are right."""
        return int(self._is_judged.sum())

    @property
    def right(self) -> int:
        """How many of these are."""
        return int((self._is_judged & (self.sample.is_nearest > 0)).sum())

    def expected_right(self, prior: float) -> float:
        """Return how many of these would be, were the confidences under a prior true."""
        return expected_right(self.sample.log_ratios[self._is_judged], prior=prior)

    @property
    def _is_judged(self) -> NDArray[np.bool_]:
        return np.asarray(self.sample.is_named & (self.sample.is_nearest != 0), np.bool_)

    def to_json(self) -> dict[str, Any]:
        """Return it as it is printed for programs."""
        sample, estimate = self.sample, self.estimate
        priors = {"in_use": self.prior, "estimated": estimate.prior}
        return {
            "model": self.model,
            "contents": sample.contents,
            "sampled": sample.sampled,
            "tracks": sample.tracks,
            "usable_tracks": estimate.tracks,
            "names": int(sample.is_named.sum()),
            "model_prior": self.model_prior,
            "prior": self.prior,
            "estimate": [round(one, 6) for one in (estimate.prior, estimate.low, estimate.high)],
            "sure_names": [
                {"min_confidence": least} | {name: self.names(prior, least) for name, prior in priors.items()}
                for least in CONFIDENCES
            ],
            "answered_tracks": int((sample.is_of_gallery != 0).sum()),
            "judged_names": {"names": self.judged, "right": self.right}
            | {f"expected_{name}": round(self.expected_right(prior), 2) for name, prior in priors.items()},
            "setting": self.setting,
        }


def calibrate(*, most: int, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Estimate the prior from the stored tracks, and say what it would change.

    Args:
        most: contents that are looked at, about.
        as_json: print a JSON line.
        settings: values for ``load_settings``.

    Raises:
        ConfigError: the settings cannot work, or there is no track to estimate from.
        StoreUnavailableError: the database does not answer.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        with err().status("loading the model"):
            gallery = build_gallery(loaded, store=store)
            # Names are counted as the thresholds give them, however sure they must be.
            identifier = build_identifier(loaded.model_copy(update={"min_precision": None}), gallery)
        with store.reading() as connection:
            network_id = network_to_label(connection, identifier, loaded.model)
        total = min(most, count_contents(store.engine, network_id))
        with progress("looking at contents", total=total) as advance:
            sample = sample_tracks(store.engine, identifier, network_id, most=most, on_batch=advance)
    report = _report(identifier, sample)
    if as_json:
        print_json_line(report.to_json())
    else:
        _print(report)


def _report(identifier: Identifier, sample: SampledTracks) -> PriorReport:
    if not len(sample.content_id):
        raise ConfigError(
            f"there is no track with a face that is large and sharp enough among {sample.sampled:,} contents"
            f" ({sample.tracks:,} tracks), so nothing says how many show somebody whom {identifier.model} knows"
        )
    with err().status("estimating"):
        estimate = estimate_prior(with_answers(sample.of_gallery, sample.is_of_gallery), sample.content_id)
    own = identifier.gallery.bundle.calibration.prior
    return PriorReport(identifier.gallery.model, own, identifier.prior, sample, estimate)


def _print(report: PriorReport) -> None:
    sample, estimate = report.sample, report.estimate
    whose = "the model's" if report.prior == report.model_prior else "the settings'"
    names = int(sample.is_named.sum())
    header = ["", f"in use ({whose})", "estimated"]
    rows = [
        [
            "prior: share of tracks that show somebody of the gallery",
            f"{report.prior:g}",
            f"{estimate.prior:.2g} ({estimate.low:.2g} to {estimate.high:.2g})",
        ],
        *(
            [
                f"names with a confidence of {least:g} or more",
                f"{report.names(report.prior, least):,}",
                f"{report.names(estimate.prior, least):,}",
            ]
            for least in CONFIDENCES
        ),
        ["names in all", *[f"{names:,} ({names / estimate.tracks:.2g} of the tracks)"] * 2],
    ]
    if report.judged:
        expected = [f"{report.expected_right(prior):.3g} expected" for prior in (report.prior, estimate.prior)]
        rows.append([f"right names, {report.right:,} of {report.judged:,} that somebody has judged", *expected])
    print_table(header, rows, right=header[1:])
    which = f"{sample.sampled:,} of {sample.contents:,} contents"
    remark(
        f"{report.model}: from {estimate.tracks:,} tracks of {estimate.contents:,} contents; there are"
        f" {sample.tracks:,} in {which}, and the others are too poor to say. The interval is of 95 %."
    )
    if answered := int((sample.is_of_gallery != 0).sum()):
        remark(
            f"Of {answered:,} of the tracks somebody has said whom they show: that counts, whatever their scores are."
        )
    if estimate.tracks < FEW_TRACKS:
        remark(
            f"So few tracks say little: the share may be anything from {estimate.low:.2g} to {estimate.high:.2g}."
            " Annotate more of the archive before you rely on it."
        )
    out().print(f"{report.setting} takes it over: set it for all programs, then `annotator relabel --activate`.")
