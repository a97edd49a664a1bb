"""What is written beside the numbers of an exported model: card, licence and credits."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, Final

from annotator.networks.sface import NETWORK_ID
from annotator.recognition.building import credits_table, figures_table
from annotator.recognition.bundle import ModelBundle
from trainer.collect.ledger import CREDITS as CREDIT_COLUMNS
from trainer.labels import person_key
from trainer.workdir import Experiment

SFACE_LICENCE: Final = "SFace: Apache-2.0 (OpenCV Zoo)"
OWN_LICENCE: Final = "fitted to the photographs of the experiment: their licences apply"
NOT_STATED: Final = "not stated"

_MANY_STRANGERS: Final = 1000
"""From so many a threshold for 0.3 % of strangers rests on three of them."""

_CARD: Final = Template(
    """# $model

Exported from the experiment «$experiment»: $people people from $photographs photographs. $what

Licence of the model: $licence
Licence of the weights: $weights
Licence of the photographs: $data

A licence is no consent to biometric recognition of the people shown (GDPR Art. 9, BIPA, AI Act Art. 5).

## How good it is

Measured on $probes that nothing was fitted to, made as small and as poor as clips show faces, with the thresholds of
this model. FPIR is the share of strangers who get a name; «plain mean» is the cosine alone, for comparison.

$figures

$remarks
"""
)


def card(bundle: ModelBundle, experiment: str, *, probes: int, strangers: int, are_seen: bool) -> str:
    """Return the model card.

    Args:
        bundle: calibrated, its manifest filled.
        experiment: name of the experiment.
        probes: faces that it was calibrated with.
        strangers: faces of others.
        are_seen: whether these faces were fitted to, for want of others.

    """
    manifest = bundle.manifest
    return _CARD.substitute(
        model=bundle.model,
        experiment=experiment,
        people=f"{len(bundle.identities):,}",
        photographs=f"{manifest['photographs']:,}",
        what=_what(bundle),
        licence=manifest["licence"],
        weights=manifest["licence_of_weights"],
        data=manifest["licence_of_data"],
        probes=f"{probes:,} photographs",
        figures=figures_table(manifest["metrics"]["by_face_size"]),
        remarks="\n\n".join(_remarks(bundle, probes=probes, strangers=strangers, are_seen=are_seen)),
    )


def _what(bundle: ModelBundle) -> str:
    if bundle.network is not None:
        return (
            f"It carries a network of its own, {bundle.network.spec.name}: its embeddings can be compared with those "
            "of no other model, and an archive must be annotated again to be labelled by it."
        )
    if bundle.projection is not None:
        return (
            f"It is a head over {NETWORK_ID}: what was annotated with that network is labelled anew from stored "
            "embeddings, without decoding."
        )
    return f"Its people are compared by embeddings of {NETWORK_ID}, without a projection."


def _remarks(bundle: ModelBundle, *, probes: int, strangers: int, are_seen: bool) -> list[str]:
    """Return what a reader must know to judge the numbers."""
    found = []
    if are_seen:
        found.append(
            "**The experiment has no validation photographs.** It was calibrated with the very photographs that it was "
            "fitted to: found shares and confidence are too high."
        )
    if not strangers:
        found.append(
            "**No strangers were shown.** The people of the labels stood for them, whom the model was fitted to tell "
            "apart: thresholds were widened by a guess. Export again with --strangers to know how often strangers are "
            "named."
        )
    elif strangers < _MANY_STRANGERS:
        found.append(
            f"**Only {strangers:,} strangers were shown.** The thresholds for rates that they cannot show are guessed "
            "from the nearest of them, and the one for "
            f"{bundle.calibration.max_false_positive_rate:.1%} is in use. A thousand are needed for 0.3 %."
        )
    if probes < 10 * len(bundle.identities):
        found.append(
            f"**{probes:,} photographs for {len(bundle.identities):,} people are few**: the shares above may be off by "
            f"{round(100 / max(probes, 1) ** 0.5)} per cent points and more."
        )
    return found


def credits_of(places: Experiment, bundle: ModelBundle, labels: Sequence[str]) -> tuple[str, str]:
    """Return the text of ``credits.csv``, and the licences of the photographs in a line.

    Args:
        places: the experiment; what ``trainer collect`` has noted of its photographs is taken over.
        bundle: its people.
        labels: text of the label, or name of the folder, of each.

    """
    noted = _noted(places.folder / "credits.csv")
    licences = Counter(row["licence"] for label in labels for row in noted.get(person_key(label), []))
    sources = {
        person.name: "; ".join(_credit(row) for row in noted.get(person_key(label), []))
        for label, person in zip(labels, bundle.identities, strict=True)
    }
    told = ", ".join(f"{licence} ({count})" for licence, count in licences.most_common())
    return credits_table(bundle, sources), told or NOT_STATED


def _noted(path: Path) -> dict[str, list[dict[str, str]]]:
    """Return what is noted of photographs, by person; nothing where the file is not collect's."""
    found: dict[str, list[dict[str, str]]] = {}
    if not path.is_file():
        return found
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != CREDIT_COLUMNS:
            return found
        for row in reader:
            found.setdefault(person_key(row["label"]), []).append(row)
    return found


def _credit(row: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (row["title"], f"by {row['author']}", f"({row['licence']})", row["page"])))
