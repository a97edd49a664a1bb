"""``annotator models install``."""

from collections.abc import Mapping
from typing import Any

from annotator.build import open_library
from annotator.cli.database import open_store
from annotator.cli.output import err, out, print_json_line
from annotator.errors import ModelsBusyError
from annotator.library import manifest_digest
from annotator.settings import load_settings
from annotator.store.locks import only_one
from annotator.store.models import LOCK, note_model


def install_bundle(source: str, *, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Check a bundle, keep it in the library, note it in the database, and say so.

    The row comes last: whatever ends this before, doing it again goes on.

    Args:
        source: its folder, or ``s3://…``.
        as_json: a JSON object instead of a sentence.
        settings: values for ``load_settings``.

    Raises:
        ConfigError: there is no bundle, or another one is installed under its name and version.
        ModelError: it fails its checks.
        ModelsBusyError: somebody else installs or promotes a model just now.

    """
    chosen = load_settings(**settings)
    library = open_library(chosen)
    with open_store(chosen) as store, only_one(store.engine, LOCK) as is_mine:
        if not is_mine:
            raise ModelsBusyError("somebody else installs or promotes a model just now: try again when that is done")
        with err().status("checking and copying the model"):
            kept = library.add(source)
        digest = manifest_digest(kept.bundle.manifest)
        with store.writing() as connection:
            is_new = note_model(connection, digest=digest, uri=kept.uri, manifest=kept.bundle.manifest)
    model = kept.bundle.model
    if as_json:
        print_json_line({"model": model, "digest": digest, "uri": kept.uri, "is_new": is_new})
        return
    said = "is installed" if is_new else "was installed already"
    people = f"{len(kept.bundle.identities)} people"
    out().print(f"{model} {said}: {people}, in {kept.uri}", markup=False, soft_wrap=True)
