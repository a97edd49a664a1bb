"""Puts a calibration that was fitted to drawn clips into the starter model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from annotator.accuracy.calibrating import known_tracks
from annotator.accuracy.trial import Trial
from annotator.recognition.bundle import CREDITS, LICENSE, MODEL_CARD, ModelBundle, write_bundle
from annotator.recognition.calibration import Calibration
from annotator.recognition.revocation import read_revocation_list
from annotator.starter import STARTER_BUNDLE, STARTER_CALIBRATION, load_starter

_TEXTS = (CREDITS, MODEL_CARD, LICENSE)


def recalibrated(trial: Trial, calibration: Calibration) -> Trial:
    """Return the same clips before a gallery with another calibration."""
    held = replace(trial.held, bundle=replace(trial.held.bundle, calibration=calibration))
    return Trial(held, trial.clips)


def said_of(development: Trial, precision: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the manifest says of a calibration.

    Args:
        development: what it was fitted to.
        precision: rows of the test people, as JSON values.

    """
    folds = development.folds
    keys = ("precision", "recall", "calibration error")
    return {
        "fitted_to": {
            "clips": len(development.clips),
            "tracks_of_known_people": int(folds.is_known.sum()),
            "tracks_of_strangers": int((~folds.is_known).sum()),
        },
        "known_tracks": known_tracks(development).to_json(),
        "on_other_people": {row["what"]: {key: row["values"][key] for key in keys} for row in precision},
    }


def write_known_tracks(development: Trial) -> None:
    """Write how often known people are nearest beside what the starter model is made from, and into its manifest.

    Its calibration stays, and so does its digest: no score, confidence or name changes.
    """
    told = json.loads(STARTER_CALIBRATION.read_text(encoding="utf-8"))
    told["calibrated"]["known_tracks"] = known_tracks(development).to_json()
    STARTER_CALIBRATION.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    _write_bundle(load_starter(), told["calibrated"])


def write_starter(calibration: Calibration, said: Mapping[str, Any]) -> None:
    """Write the calibration beside what the starter model is made from, and into the bundle.

    Args:
        calibration: its centre and points.
        said: for the manifest.

    """
    bundle = load_starter()
    whole = replace(bundle.calibration, points=calibration.points, clip_centre=calibration.clip_centre)
    told = {"calibration": whole.to_json(), "calibrated": said}
    STARTER_CALIBRATION.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    _write_bundle(replace(bundle, calibration=whole), said)


def _write_bundle(bundle: ModelBundle, calibrated: Mapping[str, Any]) -> None:
    if len(bundle.identities) != bundle.manifest["people"]:
        raise SystemExit("People of the starter model are revoked: build it without them first, then calibrate it.")
    texts = {name: (STARTER_BUNDLE / name).read_text(encoding="utf-8") for name in _TEXTS}
    revoked = read_revocation_list(STARTER_BUNDLE / "revoked.json")
    manifest = {**bundle.manifest, "calibrated": calibrated}
    write_bundle(STARTER_BUNDLE, replace(bundle, manifest=manifest), texts=texts, revoked=revoked)
