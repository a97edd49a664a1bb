"""``trainer export``: what is put together and said."""

from pathlib import Path
from typing import Any, Final

import typer

from annotator.build import build_detector, build_engine
from annotator.cli.output import err, remark
from annotator.errors import AnnotatorError
from annotator.settings import load_settings
from trainer.evaluation.report import REPORT_FILE, read_report
from trainer.evaluation.running import REPORT_FOLDER
from trainer.export.exporting import ExportParams, export_bundle
from trainer.workdir import Experiment

_TAKEN_OVER: Final = ("photographs", "people_shown", "closed_set", "open_set")
"""Measures of an evaluation that stand in the manifest; the rest is in the report."""


def run_export(
    places: Experiment, *, out: Path, name: str | None, version: int, strangers: Path | None, licence: str
) -> None:
    """Export, and say what has come of it; raises as :func:`~trainer.export.exporting.export_bundle`."""
    settings = load_settings(device="cpu")
    engine = build_engine(settings)
    params = ExportParams(
        out=out,
        name=name or places.model_name,
        version=version,
        strangers=strangers,
        licence=licence,
        evaluation=_evaluation(places),
    )
    with err().status("embedding and calibrating"):
        bundle = export_bundle(places, params, engine=engine, detector=lambda: build_detector(settings, engine))
    if strangers is None:
        remark("without --strangers the thresholds are a wide guess: the model card says what that means")
    typer.echo(f"{bundle.model}: {len(bundle.identities)} people, embedded by {bundle.embedder}, in {out}")


def _evaluation(places: Experiment) -> dict[str, Any] | None:
    """Return what the last `trainer evaluate` of the fitted network has measured; None where there is no report."""
    path = places.folder / REPORT_FOLDER / REPORT_FILE
    if not path.is_file():
        return None
    try:
        report = read_report(path)
    except AnnotatorError as error:
        remark(f"the evaluation is left out of the manifest: {error}")
        return None
    return {key: report.measures[key] for key in _TAKEN_OVER if key in report.measures}
