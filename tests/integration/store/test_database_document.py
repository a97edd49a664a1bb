"""The page on the database says what is true: its SQL runs on both databases, its tables and columns exist."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.store import Store
from annotator.store.corrections.saying import correct_track
from annotator.store.duplicates.families import find_families
from annotator.store.rollups import roll_up
from annotator.store.strangers.running import group_strangers
from annotator.store.tables import metadata
from annotator.store.views import VIEWS
from annotator.types import Identity, MediaRef
from tests.drawn_scenes import drawn_scene, fingerprint_of
from tests.made_up_gallery import gallery
from tests.store_values import SPEC, annotation, failure, known, ref, track, unknown

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "database.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
JENNIFER, ANGELINA, BRAD = Identity("Jennifer Aniston"), Identity("Angelina Jolie"), Identity("Brad Pitt", "/m/0c6qh")


@pytest.fixture
def filled(store: Store) -> Store:
    """Media so that every query of the page finds something."""
    network_id = store.register_network(SPEC)
    people = dict.fromkeys((JENNIFER, ANGELINA, BRAD), 5)
    labelling_id = store.register_labelling(network_id, model="starter@1", digest="1", photographs=people)
    rachel = MediaRef("rachel-waiting.gif", "s3://gifs/rachel-waiting.gif")
    waiting = fingerprint_of(drawn_scene(1))
    store.save(
        [
            replace(annotation(rachel, content=1, tracks=[track(0)], labels=[known(JENNIFER)]), fingerprint=waiting),
            replace(annotation(ref("made-anew.gif"), content=4), fingerprint=waiting),
            annotation(ref("pair.gif"), content=2, tracks=[track(0), track(1)], labels=[known(ANGELINA), known(BRAD)]),
            annotation(
                ref("strangers.gif"),
                content=3,
                tracks=[track(number, seed=number) for number in range(20)],
                labels=[unknown(BRAD)] * 20,
            ),
            failure(ref("broken.gif")),
        ],
        network_id=network_id,
        labelling_id=labelling_id,
    )
    newer = store.register_labelling(network_id, model="starter@2", digest="2", photographs=people)
    for shown in (newer, labelling_id):
        store.activate(shown)
    roll_up(store.engine)
    group_strangers(store.engine, gallery().bundle, network_id)
    find_families(store.engine)
    correct_track(store.engine, ref("pair.gif"), 0, verdict="is", name="Jennifer Aniston")
    return store


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: re.sub(r"\W+", "-", query)[:60])
def test_each_query_of_the_page_finds_something(filled: Store, query: str) -> None:
    with filled.reading() as connection:
        assert connection.execute(text(query)).all() != []


def test_the_page_has_its_queries() -> None:
    assert len(QUERIES) == 17


@pytest.mark.parametrize("view", VIEWS)
def test_the_columns_of_each_view_are_those_of_the_page(store: Store, view: str) -> None:
    with store.reading() as connection:
        columns = list(connection.execute(text(f"SELECT * FROM {view}")).keys())
    assert f"| `{view}` |" in PAGE
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{view}` |")]
    assert f"`{', '.join(columns)}`" in line


def test_every_table_is_on_the_page() -> None:
    assert [name for name in metadata.tables if f"`{name}`" not in PAGE] == []
