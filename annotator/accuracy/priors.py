"""How well the share of known people's tracks is told from scores alone: of archives that are put together from tracks.

Each archive is drawn anew from the judged tracks, known people's and strangers', in the parts that are the truth.
"""

from typing import Final

import numpy as np

from annotator.accuracy.calibrating import face_sizes
from annotator.accuracy.intervals import Interval, wilson
from annotator.accuracy.measures import PRIORS
from annotator.accuracy.rows import Row
from annotator.accuracy.trial import Trial
from annotator.recognition.prior import PriorEstimate, estimate_prior

ARCHIVES: Final = 40
"""Put together for each share."""

TRACKS: Final = 2_000
"""Of one archive."""


def prior_rows(trial: Trial, *, archives: int = ARCHIVES) -> list[Row]:
    """Return what ``annotator calibrate`` would estimate, for each true share.

    The value is the mean estimate, its interval holds 95 % of the archives' estimates; beside it how often the interval
    that is told of an archive holds the truth. That interval knows of chance only.

    Args:
        trial: tracks of known people, and of strangers, whom galleries lack.
        archives: for each share.

    """
    folds = trial.folds.of(np.isfinite(trial.folds.log_ratios))
    known, strangers = np.flatnonzero(folds.is_known), np.flatnonzero(~folds.is_known)
    if not len(known) or not len(strangers):
        return []
    about = trial.held.bundle.known_tracks
    ratios = folds.log_ratios if about is None else about.log_ratios(folds.log_ratios, face_sizes(trial, folds))
    rows = []
    for number, prior in enumerate(PRIORS):
        random = np.random.default_rng(number)
        count = round(prior * TRACKS)
        found: list[PriorEstimate] = []
        for _ in range(archives):
            drawn = np.concatenate([random.choice(known, count), random.choice(strangers, TRACKS - count)])
            found.append(estimate_prior(ratios[drawn], np.arange(TRACKS)))
        estimates = np.array([one.prior for one in found])
        low, high = np.quantile(estimates, (0.025, 0.975)).tolist()
        holds = wilson(sum(one.low <= prior <= one.high for one in found), archives)
        values = {"estimate": Interval(float(estimates.mean()), low, high), "interval holds it": holds}
        rows.append(Row(f"{prior:.1%}", archives, values))
    return rows
