"""``annotator takedown``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annotator.cli.database import open_store
from annotator.cli.output import err, out, print_json_line, remark
from annotator.settings import load_settings
from annotator.takedown.looking import look_at_picture
from annotator.takedown.report import TakedownReport
from annotator.takedown.running import Wanted, take_down


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of somebody.

    Attributes:
        path: of the picture.
        which: of several faces on it, 1 is the leftmost.

    """

    path: Path
    which: int | None = None


def take_person_down(
    wanted: Wanted,
    *,
    picture: Picture | None = None,
    as_json: bool,
    report_to: Path | None,
    settings: Mapping[str, Any],
) -> TakedownReport:
    """Take a person down, or say what would go, and tell it.

    Args:
        wanted: what is asked for.
        picture: of the person; where there is no name, it says who it is.
        as_json: a JSON object instead of lines.
        report_to: gets the report as JSON, too.
        settings: values for ``load_settings``.

    Raises:
        IdentityError: several people may be meant, or nothing is known of the person.
        EnrollmentError: the picture shows no clear face, or several.
        ModelError: a model fails its checks.
        LocalDiskError: a folder cannot be changed.

    """
    chosen = load_settings(**settings)
    with open_store(chosen) as store, err().status("looking" if wanted.is_dry else "taking down"):
        if picture is not None:
            seen = look_at_picture(picture.path, which=picture.which, store=store, settings=chosen)
            told = "nobody whom the model knows" if seen.name is None else seen.name
            remark(f"On the picture is {told}. The report does not say so.")
            wanted = replace(wanted, name=wanted.name or seen.name, face=seen.known)
        report = take_down(store, chosen, wanted)
    if report_to is not None:
        report_to.parent.mkdir(parents=True, exist_ok=True)
        report_to.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
    if as_json:
        print_json_line(report.to_json())
    else:
        out().print(report.to_text(), end="", markup=False, soft_wrap=True)
    if wanted.is_dry:
        remark("Nothing was changed: add --yes to do it. It cannot be taken back.")
    return report
