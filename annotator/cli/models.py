"""``annotator models``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotator.build import (
    STARTER,
    STARTER_FOLDER,
    build_detector,
    build_engine,
    bundle_folder,
    open_bundle,
    open_library,
)
from annotator.cli.database import open_store
from annotator.cli.output import err, out, print_csv, print_json_line, print_table, remark
from annotator.errors import AnnotatorError, ConfigError, StoreUnavailableError
from annotator.recognition.building import BundleInfo
from annotator.recognition.building import build_bundle as build_from_pictures
from annotator.recognition.bundle import MODEL_CARD, ModelBundle, load_bundle
from annotator.recognition.collection import BuildSources
from annotator.recognition.embedding import FaceEmbedder
from annotator.settings import Settings, load_settings
from annotator.starter import starter_info, starter_sources
from annotator.store.labellings import load_active, retired_models
from annotator.store.models import InstalledModel, list_models

FEW_PHOTOGRAPHS: Final = 3
LISTED: Final = ("name", "model", "people", "photographs", "embedder", "place", "whose names")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of ``annotator models build``.

    Attributes:
        output: folder of the new bundle.
        starter_data: build the starter model from this folder of pictures; the others do not count then.
        people: folders of aligned crops.
        photographs: folders of whole photographs.
        strangers: folder of aligned crops of strangers.
        name: of the model.
        version: of the model.

    """

    output: Path
    starter_data: Path | None
    people: tuple[Path, ...]
    photographs: tuple[Path, ...]
    strangers: Path | None
    name: str
    version: int


def list_bundles(*, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Print the models that can be used by name: those of this machine, and those that the database knows of."""
    chosen = load_settings(**settings)
    registered, active, retired = _registered(chosen)
    listed = [_row(name, folder) for name, folder in _folders(chosen)]
    here = {row["model"] for row in listed if row is not None}
    listed += [
        {"name": one.model, "model": one.model, "people": None, "photographs": None}
        | {"embedder": one.manifest["embedder"], "place": one.uri}
        for one in registered
        if one.model not in here
    ]
    rows = [
        row | {"active": row["model"] == active, "retired": row["model"] in retired}
        for row in listed
        if row is not None
    ]
    if as_json:
        for row in rows:
            print_json_line(row)
        return
    cells = [[_cell(value) for value in list(row.values())[:-2]] + [_whose_names(row)] for row in rows]
    print_table(LISTED, cells, right=["people", "photographs"])


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _whose_names(row: Mapping[str, Any]) -> str:
    return "shown" if row["active"] else "labels removed" if row["retired"] else ""


def _row(name: str, folder: Path) -> dict[str, Any] | None:
    try:
        bundle = load_bundle(folder)
    except AnnotatorError as error:
        remark(f"{name}: {error}")
        return None
    return {
        "name": name,
        "model": bundle.model,
        "people": len(bundle.identities),
        "photographs": int(bundle.photo_counts.sum()),
        "embedder": bundle.embedder,
        "place": str(folder),
    }


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    if STARTER_FOLDER.is_dir():
        yield STARTER, STARTER_FOLDER
    yield from ((folder.name, folder) for folder in open_library(settings).folders())


def _registered(settings: Settings) -> tuple[list[InstalledModel], str | None, frozenset[str]]:
    """Return the models that the database knows of, the one whose names it shows, and those whose labels were removed.

    None where there is no database. The mark of enrolled people is left out: they are not the model's.
    """
    try:
        with open_store(settings, must_exist=True) as store, store.reading() as connection:
            active = load_active(connection)
            shown = None if active is None else active.model.partition("+")[0]
            return list_models(connection), shown, retired_models(connection)
    except (ConfigError, StoreUnavailableError):
        return [], None, frozenset()


def show_bundle(name: str, *, with_people: bool, as_json: bool) -> None:
    """Print a model's card, its people, or its manifest.

    Raises:
        ConfigError: there is no such model.
        ModelError: it fails its checks.

    """
    settings = load_settings(model=name)
    bundle = open_bundle(settings)
    told = _facts(bundle) | ({} if settings.prior is None else {"prior of the settings": settings.prior})
    if as_json:
        print_json_line(told | ({"people": _people(bundle)} if with_people else {}))
        return
    if with_people:
        people = [list(one.values()) for one in _people(bundle)]
        print_csv(["identity", "kg_mid", "photographs"], people)
        return
    facts = [[key, str(value)] for key, value in told.items() if not isinstance(value, dict)]
    print_table(["what", "value"], facts)
    card = bundle_folder(settings) / MODEL_CARD
    if card.is_file():
        out().print()
        out().print(card.read_text(encoding="utf-8"), markup=False, soft_wrap=True)


def _facts(bundle: ModelBundle) -> dict[str, Any]:
    return {
        "model": bundle.model,
        "people": len(bundle.identities),
        "photographs": int(bundle.photo_counts.sum()),
        "people with few photographs": int((bundle.photo_counts <= FEW_PHOTOGRAPHS).sum()),
        "embedder": bundle.embedder,
        "digest": bundle.digest,
        "prior": bundle.calibration.prior,
        "licence": bundle.manifest.get("licence"),
        "metrics": bundle.manifest.get("metrics", {}),
    }


def _people(bundle: ModelBundle) -> list[dict[str, Any]]:
    return [
        {"identity": identity.name, "kg_mid": identity.kg_mid, "photographs": int(count)}
        for identity, count in zip(bundle.identities, bundle.photo_counts, strict=True)
    ]


def build_bundle(options: BuildOptions) -> None:
    """Build a model and say what was left out.

    Raises:
        ConfigError: a folder is missing or cannot make a model.

    """
    if options.starter_data is not None:
        sources, info = starter_sources(options.starter_data), starter_info()
    else:
        if options.strangers is None or not (options.people or options.photographs):
            raise ConfigError(
                "A model is built from pictures of people (--people, --photos) and calibrated on --strangers; "
                "or give --starter DATA."
            )
        sources = BuildSources(
            gallery_dirs=options.people, strangers_dir=options.strangers, known_dirs=options.photographs
        )
        info = BundleInfo(name=options.name, version=options.version)
    settings = load_settings()
    engine = build_engine(settings)
    with err().status("building: some minutes for thousands of pictures"):
        report = build_from_pictures(
            sources,
            out=options.output,
            embedder=FaceEmbedder(engine, precision="f32"),
            detector=build_detector(settings, engine),
            info=info,
        )
    for name, why in report.left_out.items():
        remark(f"left out {name}: {why}")
    for picture, why in report.dropped:
        remark(f"left out {picture}: {why}")
    bundle = report.bundle
    out().print(
        f"{bundle.model}: {len(bundle.identities)} people from {int(bundle.photo_counts.sum())} photographs, "
        f"{len(report.dropped)} left out, in {options.output}",
        markup=False,
        soft_wrap=True,
    )
