"""``annotator identities --unmerge``: two people of one again."""

from collections.abc import Mapping
from shlex import quote
from typing import Any

from annotator.build import build_gallery, build_identifier
from annotator.cli.database import open_store
from annotator.cli.enrolling import show_new_names
from annotator.cli.output import out, remark
from annotator.errors import AnnotatorError
from annotator.settings import Settings, load_settings
from annotator.store.registry import shown_network
from annotator.store.rollups import roll_up_if_due
from annotator.store.store import Store


def unmerge_people(name: str, *, called: str | None, settings: Mapping[str, Any]) -> None:
    """Take a merge back, and tell apart what was named since.

    Args:
        name: of whom the merge gave up.
        called: what that one is called from now on; None is what it was called before.
        settings: values for ``load_settings``.

    Raises:
        IdentityError: nobody who was merged has the name, or the new one is somebody's.
        TakenDownError: the new name is of somebody who was taken down.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        identity = store.unmerge(name, new_name=called, say=remark)
        out().print(f"{identity.name} is somebody of their own again", markup=False)
        try:
            changed = _label_anew(store, loaded)
        except AnnotatorError as error:  # the merge is taken back already: that holds
            remark(
                f"What a model has named since the merge stays as it is: {error} That the merge was taken back holds;"
                f" `annotator relabel --model {quote(loaded.model)} --activate` labels it anew."
            )
        else:
            if changed:
                remark(f"{changed:,} contents have been compared with both, without decoding.")
        roll_up_if_due(store.engine)


def _label_anew(store: Store, settings: Settings) -> int:
    """Label what was annotated since the merge by the model that knows both; return how many contents that were."""
    gallery = build_gallery(settings, store=store)
    with store.reading() as connection:
        network_id = shown_network(connection, embedder=gallery.embedder)
    return show_new_names(store, build_identifier(settings, gallery), network_id)
