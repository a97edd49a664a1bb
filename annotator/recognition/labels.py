"""``labels.csv`` of a model bundle: who the classes are, in the form of the GIPHY release.

The header is ``Label,Index`` (``Labels,Index`` is read too). A label is the name with underscores for spaces, and,
where known, the Knowledge Graph id in brackets: ``50_Cent_[m.01vvyc_]`` is «50 Cent», ``/m/01vvyc_``.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import Final

from annotator.errors import ModelError
from annotator.names import fault_of_name
from annotator.types import Identity

MAX_LABELS: Final = 1_000_000

_HEADERS: Final = (["Label", "Index"], ["Labels", "Index"])
_KG_SUFFIX: Final = re.compile(r"_\[(?P<space>[mg])\.(?P<key>[0-9a-z_]{1,40})\]$")
_KG_MID: Final = re.compile(r"/(?P<space>[mg])/(?P<key>[0-9a-z_]{1,40})")


def parse_label(label: str) -> Identity:
    """Return whom a label names.

    Raises:
        ModelError: the name is empty, too long or has control characters.

    """
    found = _KG_SUFFIX.search(label)
    name = (label[: found.start()] if found else label).replace("_", " ").strip()
    check_name(name)
    return Identity(name, f"/{found['space']}/{found['key']}" if found else None)


def format_label(identity: Identity) -> str:
    """Return the label of a person.

    Raises:
        ModelError: the name or the Knowledge Graph id cannot stand in a label.

    """
    check_name(identity.name)
    name = identity.name.replace(" ", "_")
    if identity.kg_mid is None:
        return name
    found = _KG_MID.fullmatch(identity.kg_mid)
    if not found:
        raise ModelError(f"{identity.kg_mid!r} is no Knowledge Graph id: write it as /m/01vvyc_")
    return f"{name}_[{found['space']}.{found['key']}]"


def is_kg_mid(given: str) -> bool:
    """Say whether a text is a Knowledge Graph id.

    >>> is_kg_mid("/m/01vvyc_"), is_kg_mid("/m/"), is_kg_mid("m.01vvyc_")
    (True, False, False)
    """
    return _KG_MID.fullmatch(given) is not None


def check_name(name: str) -> None:
    """Check that a name can be shown and stored.

    Raises:
        ModelError: it cannot be one (:func:`annotator.names.fault_of_name`).

    """
    fault = fault_of_name(name)
    if fault is not None:
        raise ModelError(f"{name[:40]!r} is no name: {fault}")


def read_labels(text: str) -> tuple[Identity, ...]:
    """Read the people of a ``labels.csv``, by ascending index.

    Raises:
        ModelError: the header, an index or a name is wrong, or a name stands twice.

    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ModelError(f"labels.csv is no CSV file ({error}): build the bundle again") from error
    if not rows or rows[0] not in _HEADERS:
        raise ModelError("labels.csv must begin with the line Label,Index")
    if len(rows) > MAX_LABELS:
        raise ModelError(f"labels.csv has more than {MAX_LABELS} labels")
    people: list[Identity] = []
    for row in rows[1:]:
        if len(row) != 2 or row[1] != str(len(people)):
            raise ModelError(f"line {len(people) + 2} of labels.csv must be a label and the index {len(people)}")
        people.append(parse_label(row[0]))
    if len({person.name for person in people}) < len(people):
        raise ModelError("labels.csv has a name twice: names must be unique")
    return tuple(people)


def write_labels(people: Sequence[Identity]) -> str:
    """Return the text of a ``labels.csv``."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADERS[0])
    writer.writerows([format_label(person), index] for index, person in enumerate(people))
    return text.getvalue()
