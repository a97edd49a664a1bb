"""``trainer doctor``: look, report, and move aside what is wrong."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.cli.output import print_json_line, remark
from trainer.dataset.files import disk_errors, only_worker, write_whole
from trainer.dataset.surveying import MIN_FACE_PX, Survey, opened_surveyor
from trainer.doctor.accepting import FILE_NAME, accept, read_accepted
from trainer.doctor.examining import Case, examine
from trainer.doctor.findings import KINDS, Diagnosis, Finding, Picture
from trainer.doctor.fixing import move_aside
from trainer.doctor.folders import person_folders
from trainer.doctor.leaks import leaks
from trainer.doctor.report import report_html
from trainer.labels import inspect_label_table
from trainer.problems import Problem
from trainer.settings import Device
from trainer.workdir import Experiment

REPORT_FOLDER: Final = "doctor"


@dataclass(frozen=True, slots=True)
class DoctorParams:
    """What a user may choose.

    Attributes:
        min_face_px: smallest face, in pixels of the photograph; as given to `trainer prepare`.
        min_photographs: how many usable photographs a person should have.
        is_fixed: move aside what is wrong.
        accept: ids of findings that are right as they are.

    """

    min_face_px: int = MIN_FACE_PX
    min_photographs: int = 5
    is_fixed: bool = False
    accept: tuple[str, ...] = ()


def run_doctor(experiment: Experiment, params: DoctorParams, *, device: Device, as_json: bool) -> bool:
    """Look for what is wrong, write ``doctor/report.html`` and ``doctor/report.json``, and say it on stdout.

    Returns:
        Whether anything is left that must be put right before training.

    Raises:
        ConfigError: the device is not there, or an id is none.
        BusyError: another process works on this experiment.
        ProblemsError: ``doctor/accepted.csv`` is not as it was written.
        LocalDiskError: the disk is full.

    """
    folder = experiment.folder / REPORT_FOLDER
    with only_worker(experiment.folder), disk_errors(experiment.folder):
        accepted = read_accepted(folder / FILE_NAME)
        case = look(experiment, params, device=device)
        diagnosis = examine(case, accepted=accepted)
        if params.accept:
            accept(folder / FILE_NAME, params.accept, diagnosis, accepted)
            diagnosis = examine(case, accepted={*accepted, *params.accept})
        write_whole(folder / "report.html", report_html(diagnosis, experiment.folder).encode())
        write_whole(folder / "report.json", (json.dumps(diagnosis.facts(), indent=1) + "\n").encode())
        moves = move_aside(experiment, diagnosis.findings) if params.is_fixed else []
    if as_json:
        print_json_line({**diagnosis.facts(), "moved": dict(moves)})
    else:
        _tell(diagnosis, folder / "report.html")
    if moves:
        remark(f"{len(moves)} files have been moved to {experiment.set_aside}; moved.csv there says from where")
    gone = {source for source, _ in moves}
    return any(not finding.aside or set(finding.aside) - gone for finding in diagnosis.errors)


def look(experiment: Experiment, params: DoctorParams, *, device: Device) -> Case:
    """Look at all photographs; nothing but what was found on them is written."""
    labels, label_problems = inspect_label_table(experiment.labels_file)
    with opened_surveyor(experiment, device=device, min_face_px=params.min_face_px) as surveyor:
        survey = surveyor.survey(experiment)
    other = [*_labels(label_problems), *_unreadable(experiment, survey), *leaks(experiment)]
    names = [folder.name for folder in experiment.people_folders()]
    folders = person_folders(names, survey.contents, labels)
    return Case(experiment.name, labels, folders, other, params.min_photographs)


def _labels(problems: Iterable[Problem]) -> list[Finding]:
    return [Finding("labels", f"{problem.path.name}:{problem.line or 1}: {problem.what}") for problem in problems]


def _unreadable(experiment: Experiment, survey: Survey) -> list[Finding]:
    found = []
    for problem in survey.bad:
        path = problem.path.relative_to(experiment.folder).as_posix()
        person = problem.path.parent.name
        found.append(Finding("unreadable", f"{path}: {problem.what}", (person,), (Picture(path, path),), (path,)))
    return found


def _tell(diagnosis: Diagnosis, report: Path) -> None:
    counts = Counter(finding.kind for finding in diagnosis.findings)
    for kind, (severity, heading) in KINDS.items():
        if not counts[kind]:
            continue
        print(f"{severity}: {heading} ({counts[kind]})")  # noqa: T201 - the result
        for finding in diagnosis.findings:
            if finding.kind == kind:
                print(f"  [{finding.id}] {finding.what}" if finding.is_judged else f"  {finding.what}")  # noqa: T201 - as above
    errors = len(diagnosis.errors)
    tally = f"{_counted(errors, 'error')}, {_counted(len(diagnosis.findings) - errors, 'warning')}"
    accepted = f", {len(diagnosis.accepted)} accepted" if diagnosis.accepted else ""
    print(f"{tally}{accepted}: {report}")  # noqa: T201 - as above


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
