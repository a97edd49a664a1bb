"""``trainer collect``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.cli.output import remark
from annotator.detection import DetectionParams, MtcnnDetector
from annotator.errors import ConfigError, ModelError
from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime import create_engine
from annotator.settings import load_settings
from trainer.collect.cache import DiskCache
from trainer.collect.client import Pace, PoliteClient
from trainer.collect.collecting import MOST_PICTURES, Collector, Look, Order
from trainer.collect.faces import FoundFace, look_at
from trainer.collect.forecast import Forecast
from trainer.collect.identity import Wanted
from trainer.collect.ledger import Ledger, PersonRecord
from trainer.collect.services import Services, user_agent
from trainer.dataset.files import only_worker, write_whole
from trainer.labels import inspect_label_table, person_key
from trainer.problems import Problem, ProblemsError
from trainer.settings import Device
from trainer.tables import table_text
from trainer.workdir import Experiment

DAY_S: Final = 86_400.0
_TELL_WAITS_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """How to collect.

    Attributes:
        contact: an e-mail address or page of whoever runs it.
        most_pictures: fetched of one person.
        max_age_days: answers of the services that are older are asked again.
        is_refreshed: whether people who are through are collected again.
        services: where the services are.
        pace: how quickly they are asked.

    """

    contact: str | None
    most_pictures: int = MOST_PICTURES
    max_age_days: float = 30.0
    is_refreshed: bool = False
    services: Services = Services()  # noqa: RUF009 - frozen
    pace: Pace = Pace()  # noqa: RUF009 - frozen


def collect_photographs(
    given: Sequence[str], experiment: Experiment, options: CollectOptions, *, device: Device = "cpu"
) -> bool:
    """Collect photographs for a list of people into an experiment.

    Args:
        given: one path of a ``labels.csv``, or names.
        experiment: its folder is made where it is missing.
        options: how.
        device: that the networks run on.

    Returns:
        Whether everybody is through; False where somebody is to be tried again.

    Raises:
        ProblemsError: labels are wrong; all of them are listed.
        ConfigError: there is no contact.
        BusyError: another run is under way.
        SourceUnavailableError: the services do not answer.
        LocalDiskError: the disk is full.

    """
    agent = user_agent(options.contact)
    table, people = read_wanted(given)
    folder = experiment.folder / "collect"
    with only_worker(folder):
        look = _look(experiment, device)
        _write_labels(table, people, experiment)
        client = PoliteClient(
            options.services,
            agent=agent,
            cache=DiskCache(folder / "cache", max_age_s=0.0 if options.is_refreshed else options.max_age_days * DAY_S),
            pace=options.pace,
            on_wait=_tell_wait,
        )
        order = Order(people, experiment.raw_dataset, options.most_pictures, is_refreshed=options.is_refreshed)
        ledger = Ledger(experiment.folder)
        forecast = Collector(order, client=client, ledger=ledger, look=look, on_person=_tell_person).run()
    records = [record for one in people if (record := ledger.read(one.label)) is not None]
    _tell_end(records, forecast, ledger)
    return all(record.status != "incomplete" for record in records)


def read_wanted(given: Sequence[str]) -> tuple[Path | None, list[Wanted]]:
    """Return the file of labels, None where names were given, and the people of the list.

    Raises:
        ProblemsError: labels are wrong, or cannot be names of folders; all of them are listed.
        ConfigError: nobody is named.

    """
    path = Path(given[0]) if len(given) == 1 else None
    table = path if path is not None and (path.suffix.lower() == ".csv" or path.is_file()) else None
    problems: list[Problem] = []
    if table is not None:
        labels, found = inspect_label_table(table)
        problems += found
        named = [(label.text, table, label.line) for label in labels.labels]
    else:
        named = [("_".join(name.split()), Path("NAME"), number + 1) for number, name in enumerate(given)]
    people: dict[str, Wanted] = {}
    for text, where, line in named:
        try:
            if text.startswith(".") or any(letter in text for letter in '/\\:*?"<>|') or len(text.encode()) > 200:
                problems.append(Problem(where, f"{text[:60]!r} cannot be the name of a folder: change it", line))
                continue
            people.setdefault(person_key(text), Wanted.of_label(text))
        except ModelError as error:
            problems.append(Problem(where, str(error), line))
    if problems:
        raise ProblemsError(problems)
    if not people:
        raise ConfigError("nobody is named: give a labels.csv, or names.")
    return table, list(people.values())


def _look(experiment: Experiment, device: Device) -> Look:
    """Load the networks, and return what finds and embeds the faces of a picture."""
    settings = load_settings()
    engine = create_engine(device, threads=settings.threads, cache_dir=settings.cache_dir / "networks")
    params = DetectionParams(
        min_face_px=settings.detection.min_face_px, min_face_fraction=settings.detection.min_face_fraction
    )
    weights = experiment.detection_weights() or settings.detection.weights_dir
    detector = MtcnnDetector(engine, params=params, weights_dir=weights)
    embedder = FaceEmbedder(engine, precision="f32")

    def look(path: Path) -> Sequence[FoundFace]:
        return look_at(path, detector=detector, embedder=embedder)

    return look


def _write_labels(table: Path | None, people: Sequence[Wanted], experiment: Experiment) -> None:
    """Give the experiment the list as its ``labels.csv``, where it has none."""
    if experiment.labels_file.exists():
        return
    text = (
        table.read_bytes()
        if table is not None
        else table_text(("Label", "Index"), ((one.label, index) for index, one in enumerate(people))).encode()
    )
    write_whole(experiment.labels_file, text)


def _tell_wait(why: str, wait_s: float) -> None:
    if wait_s >= _TELL_WAITS_S:
        remark(f"waiting {wait_s:.0f} s: {why}")


def _tell_person(record: PersonRecord, forecast: Forecast) -> None:
    if record.status in {"collected", "incomplete"}:
        text = f"{record.label}: {len(record.credits)} usable of {record.looked_at} files"
        text += f" (not all: {record.why})" if record.status == "incomplete" else ""
    else:
        text = f"{record.label}: {record.status}, {record.why}"
    remark(f"{text} · {forecast.in_words()}")


def _tell_end(records: Sequence[PersonRecord], forecast: Forecast, ledger: Ledger) -> None:
    pictures = sum(len(record.credits) for record in records)
    doubtful = sum(record.status == "doubtful" for record in records)
    refused = sum(record.status == "refused" for record in records)
    remark(f"{pictures} photographs. {forecast.in_words()}; {refused} people refused (refused.csv)")
    if doubtful:
        remark(
            f"{doubtful} people are in doubt: write yes, no or the id of an item into the column «decision» of "
            f"{ledger.doubtful_file}, and start again"
        )
    remark(
        "The licences are the photographers'. They are no consent of the people shown to biometric use: see "
        "docs/collecting.md"
    )
