"""``trainer evaluate`` and ``trainer compare``: what is written and said."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from annotator.cli.output import print_json_line, print_table, remark
from annotator.recognition.bundle import MANIFEST
from trainer.dataset.files import disk_errors, write_whole
from trainer.evaluation.comparison import Comparison, compare_reports
from trainer.evaluation.comparison_html import comparison_html
from trainer.evaluation.html import report_html
from trainer.evaluation.measures import RATES
from trainer.evaluation.probes import Probe
from trainer.evaluation.report import REPORT_FILE, Report, read_report
from trainer.evaluation.subjects import Shown, Subject, evaluate
from trainer.settings import Device
from trainer.workdir import Experiment, open_experiment

REPORT_FOLDER: Final = "evaluation"
HEAD_MARK: Final = ":head"
"""After the name of an experiment: its class head is meant, not its prototypes."""


@dataclass(frozen=True, slots=True)
class ComparePlaces:
    """Folders of a comparison.

    Attributes:
        workdir: holds the experiments.
        out: gets ``comparison.html`` and ``comparison.json``.

    """

    workdir: Path
    out: Path


def run_evaluate(subject: Subject, shown: Shown, *, out: Path | None, device: Device, as_json: bool) -> None:
    """Evaluate, write ``report.json`` and ``report.html``, and say the numbers on stdout.

    Raises:
        ConfigError: something named is not there.
        InputError: a crop cannot be read.
        ModelError: a model or network fails its checks.
        LocalDiskError: the disk is full.

    """
    report, probes = evaluate(subject, shown, device=device)
    folder = out or report_folder(subject, shown)
    write_report(folder, report, probes)
    if as_json:
        faces = ("outcomes", "strangers")
        print_json_line({name: value for name, value in report.to_json().items() if name not in faces})
    else:
        _tell(report)
    remark(f"with plots and pictures: {folder / 'report.html'}")


def report_folder(subject: Subject, shown: Shown) -> Path:
    """Return where a report goes: beside the experiment, a folder for each kind of subject."""
    experiment = subject.experiment or shown.experiment
    folder = (experiment.folder if experiment is not None else Path()) / REPORT_FOLDER
    if subject.model is not None:
        return folder / Path(subject.model.rstrip("/")).name
    return folder / "head" if subject.kind == "head" else folder


def write_report(folder: Path, report: Report, probes: Sequence[Probe]) -> None:
    """Write ``report.html`` and ``report.json``, each whole or not at all.

    Raises:
        LocalDiskError: the disk is full.

    """
    pictures = {probe.key: probe.path for probe in probes}
    with disk_errors(Path()):
        write_whole(folder / "report.html", report_html(report, pictures).encode())
        write_whole(folder / REPORT_FILE, report.text().encode())


def run_compare(
    both: Sequence[str], shown: Shown, *, places: ComparePlaces, margin: float, device: Device, as_json: bool
) -> Comparison:
    """Compare two reports, or two things that are evaluated now; write ``comparison.json`` and ``.html``; say it.

    Args:
        both: what is there, and what would take its place: reports (file or folder), experiments (with ``:head``
            for the class head) or models.
        shown: to what is evaluated now; without a folder of faces, the validation side of the first experiment named.
        places: where experiments are, and where the comparison goes.
        margin: see :func:`~trainer.evaluation.comparison.compare_reports`.
        device: what networks run on.
        as_json: one line of JSON instead of a table.

    Raises:
        ConfigError: something named is not there.
        InputError: a report is none, or both have no face in common.
        LocalDiskError: the disk is full.

    """
    parts = [_report_or_subject(text, places.workdir) for text in both]
    if shown.faces is None and shown.experiment is None:
        named = [part.experiment for part in parts if isinstance(part, Subject) and part.experiment is not None]
        shown = replace(shown, experiment=named[0] if named else None)
    first, second = (evaluate(part, shown, device=device)[0] if isinstance(part, Subject) else part for part in parts)
    comparison = compare_reports(first, second, margin=margin)
    with disk_errors(Path()):
        write_whole(places.out / "comparison.html", comparison_html(comparison).encode())
        write_whole(places.out / "comparison.json", (json.dumps(comparison.to_json(), indent=1) + "\n").encode())
    if as_json:
        print_json_line(comparison.to_json())
    else:
        _tell_comparison(comparison)
    remark(f"the whole: {places.out / 'comparison.html'}")
    return comparison


def _report_or_subject(text: str, workdir: Path) -> Report | Subject:
    path = Path(text)
    if path.is_file() or (path / REPORT_FILE).is_file():
        return read_report(path)
    name = text.removesuffix(HEAD_MARK)
    if Experiment(name, workdir).folder.is_dir() and not (path / MANIFEST).is_file():
        return Subject(open_experiment(name, workdir), kind="head" if text.endswith(HEAD_MARK) else "prototypes")
    return Subject(None, model=text)


def _tell(report: Report) -> None:
    measures = report.measures
    rows = [
        (f"right person first, {measures['photographs']} photographs", _percent(measures["closed_set"]["top_1"])),
        ("right person among the first five", _percent(measures["closed_set"]["top_5"])),
    ]
    for name, words in (("strangers", "strangers"), ("left_out", "faces of people left out")):
        case = measures["open_set"][name]
        rows += [
            (f"found at FPIR {100 * rate:g} %, {case['strangers']} {words}", _percent(case[f"tpir_at_{rate:g}"]))
            for rate in RATES
            if case["strangers"]
        ]
    point = measures["operating_point"]
    rows.append(("named rightly, at its threshold", _percent(point["known"]["right"]["share"])))
    rows.append(("named wrongly", _percent(point["known"]["wrong"]["share"])))
    if point["strangers"]["faces"]:
        rows.append(("strangers who are named", _percent(point["strangers"]["wrong"]["share"])))
    if report.clips is not None:
        clips = report.clips
        told = ", ".join(f"{clips[kind]} {kind}" for kind in ("right", "wrong", "missed"))
        rows.append((f"names in {clips['clips']} clips", told))
    print_table([report.trial.name, "%"], rows, right=["%"])
    for one in report.remarks:
        remark(one)


def _tell_comparison(comparison: Comparison) -> None:
    print_table(
        ["", comparison.before, comparison.after, "change", "from", "to", "p"],
        [
            (
                one.measure,
                f"{100 * one.before:.1f}",
                f"{100 * one.after:.1f}",
                *(f"{100 * points:+.1f}" for points in (one.change, one.low, one.high)),
                f"{one.mcnemar_p:.2g}",
            )
            for one in comparison.differences
        ],
        right=[comparison.before, comparison.after, "change", "from", "to", "p"],
    )
    lost = sum(one.after < one.before for one in comparison.people)
    remark(
        f"{comparison.faces} faces, {comparison.strangers} strangers; {lost} people are found less often, "
        f"{len(comparison.people) - lost} more often"
    )
    for reason in comparison.worse:
        remark(f"worse: {reason}")


def _percent(interval: Any) -> str:  # noqa: ANN401 - from JSON
    if interval is None:
        return "too few to tell"
    value, low, high = (100 * number for number in interval)
    return f"{value:.1f} ({low:.1f} to {high:.1f})"
