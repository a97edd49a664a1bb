"""The starter model: a bundle of public figures that comes with the package, under terms of its own.

``bundle/`` is the bundle; ``source/`` is what it is made from besides pictures: the card with gaps for the figures, the
terms, the pictures found wrong by eye, the people who are left out, and the revocation list, all written by hand; and
the calibration, which ``python -m benchmarks.accuracy --calibrate`` fits to drawn clips.
"""

import json
from pathlib import Path
from typing import Any, Final

from annotator.recognition.building import BundleInfo
from annotator.recognition.bundle import ModelBundle, load_bundle
from annotator.recognition.calibration import Calibration
from annotator.recognition.collection import BuildSources
from annotator.recognition.revocation import read_revocation_list

STARTER_BUNDLE: Final = Path(__file__).parent / "bundle"
"""The folder of the bundle."""

VERSION: Final = 1

_SOURCE: Final = Path(__file__).parent / "source"
STARTER_CALIBRATION: Final = _SOURCE / "calibration.json"
"""``calibration``, as in the bundle, and ``calibrated``, what the manifest says of it."""

_LICENCE: Final = "terms of its own (LICENSE in the bundle): research, evaluation and private use"


def load_starter(*, revocations: Path | None = None) -> ModelBundle:
    """Load the starter bundle.

    Args:
        revocations: a further revocation list, of the user.

    Raises:
        ConfigError: there is no such list.
        ModelError: the bundle fails its checks.

    """
    return load_bundle(STARTER_BUNDLE, revocations=revocations)


def starter_sources(data: Path) -> BuildSources:
    """Return the pictures that the starter bundle is built from.

    Args:
        data: the folder with ``people/`` and ``giphy_labels.csv``.

    """
    people = data / "people"
    return BuildSources(
        gallery_dirs=(people / "gallery",),
        strangers_dir=people / "strangers",
        known_dirs=(people / "known",),
        people_tables=(people / "gallery.csv",),
        known_sources="ageitgey/face_recognition",
        labels=data / "giphy_labels.csv",
        excluded=_SOURCE / "excluded.csv",
        left_out=_SOURCE / "left_out.csv",
    )


def starter_info() -> BundleInfo:
    """Return name, card, terms, revocation list and calibration of the starter bundle."""
    told: dict[str, Any] = json.loads(STARTER_CALIBRATION.read_text(encoding="utf-8"))
    return BundleInfo(
        name="starter",
        version=VERSION,
        licence=_LICENCE,
        model_card=(_SOURCE / "MODEL_CARD.md").read_text(encoding="utf-8"),
        licence_text=(_SOURCE / "LICENSE").read_text(encoding="utf-8"),
        revoked=read_revocation_list(_SOURCE / "revoked.json"),
        calibration=Calibration.from_json(told["calibration"]),
        calibrated=told["calibrated"],
    )
