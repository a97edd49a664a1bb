"""Names, aliases, merging, enrolled photographs; searching, status and retrying."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import Connection, text, update

from annotator.errors import IdentityError
from annotator.store import Store
from annotator.store.enrolled import remove_enrolled
from annotator.store.identities import ids_of
from annotator.store.rollups import roll_up
from annotator.store.tables import WorkState, work
from annotator.types import Identity
from tests.store_values import ADA, BEN, CAT, PEOPLE, SPEC, annotation, digest, failure, known, ref, track, unknown


@pytest.fixture
def owners(store: Store) -> dict[str, int]:
    """A network and a labelling, as keywords of ``save``."""
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="1", photographs=dict(zip(PEOPLE, (12, 3, 1), strict=True))
    )
    return {"network_id": network_id, "labelling_id": labelling_id}


def save(store: Store, owners: dict[str, int], *people: Identity, name: str, confidence: float = 0.97) -> None:
    tracks = [track(number, start_ms=number * 200) for number in range(len(people))]
    labels = [known(one, confidence=confidence) for one in people]
    number = int(name.partition(".")[0], 36)
    store.save([annotation(ref(name), content=number, tracks=tracks, labels=labels)], **owners)


def test_a_search_finds_media_surest_first(store: Store, owners: dict[str, int]) -> None:
    for name, confidence in (("a.gif", 0.7), ("b.gif", 0.9), ("c.gif", 0.8)):
        save(store, owners, ADA, name=name, confidence=confidence)
    save(store, owners, CAT, name="d.gif")
    page = store.search("Ada Lovelace")
    assert [(one.media_uri, one.confidence) for one in page.found] == [
        ("s3://gifs/b.gif", 0.9),
        ("s3://gifs/c.gif", 0.8),
        ("s3://gifs/a.gif", 0.7),
    ]
    first = page.found[0]
    assert (first.identity, first.model, first.first_seen_ms, first.last_seen_ms) == (ADA, "test@1", 0, 300)
    assert page.next is None
    assert [one.confidence for one in store.search("Ada Lovelace", min_confidence=0.8).found] == [0.9, 0.8]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_of_a_search_add_up_to_all_of_it(store: Store, owners: dict[str, int], limit: int) -> None:
    for number in range(6):
        save(store, owners, ADA, name=f"{number + 1}.gif", confidence=0.5 + 0.1 * (number // 2))
    # The same bytes once more: two media of one content and one confidence.
    store.save([annotation(ref("again.gif"), content=1, tracks=[track(0)], labels=[known(ADA)])], **owners)
    found, after = [], None
    while True:
        page = store.search("Ada Lovelace", limit=limit, after=after)
        assert len(page.found) <= limit
        found += page.found
        after = page.next
        if after is None:
            break
    assert len(found) == len({one.media_uri for one in found}) == 7
    assert found == list(store.search("Ada Lovelace").found)


@pytest.mark.parametrize("name", ["Bén Brown", "bén brown", "BEN BROWN", " ben   brown ", "Ben_Brown"])
def test_case_accents_and_spaces_do_not_matter(store: Store, owners: dict[str, int], name: str) -> None:
    save(store, owners, BEN, name="a.gif")
    assert len(store.search(name).found) == 1


@pytest.mark.usefixtures("owners")
@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("Lovelace", "Ada Lovelace"),
        ("ada lovelase", "Ada Lovelace"),
        ("catherine", "Catherine Clark"),
        ("catherin", "Catherine Clark"),
        ("Lovelacce", "Ada Lovelace"),
        ("BenBrown", "Bén Brown"),
    ],
)
def test_an_unknown_name_gets_near_ones(store: Store, name: str, suggestion: str) -> None:
    with pytest.raises(IdentityError, match=suggestion) as caught:
        store.search(name)
    assert caught.value.suggestions == (suggestion,)


@pytest.mark.usefixtures("owners")
def test_a_name_like_no_other_gets_no_suggestion(store: Store) -> None:
    with pytest.raises(IdentityError, match="annotator identities"):
        store.search("Zzyzx")


def test_a_renamed_person_keeps_labels_and_is_found_by_both_names(store: Store, owners: dict[str, int]) -> None:
    save(store, owners, ADA, name="a.gif")
    assert store.rename("ada lovelace", "Ada King") == Identity("Ada King", ADA.kg_mid)
    for name in ("Ada King", "Ada Lovelace"):
        assert [one.identity.name for one in store.search(name).found] == ["Ada King"]
    assert store.former_names() == {"Ada Lovelace": Identity("Ada King", ADA.kg_mid)}
    # A model that still says the former name means the same person.
    save(store, owners, ADA, name="b.gif")
    assert len(store.search("Ada King").found) == 2


@pytest.mark.usefixtures("owners")
def test_a_person_can_be_renamed_back(store: Store) -> None:
    store.rename("Ada Lovelace", "Ada King")
    assert store.rename("Ada King", "Ada Lovelace") == ADA
    assert store.former_names() == {"Ada King": ADA}


@pytest.mark.usefixtures("owners")
def test_a_name_that_somebody_has_is_not_given_twice(store: Store) -> None:
    with pytest.raises(IdentityError, match="merge the two"):
        store.rename("Ada Lovelace", "Catherine Clark")
    with pytest.raises(IdentityError, match="nothing of it can be seen"):
        store.rename("Ada Lovelace", " \t")


def test_merging_brings_labels_names_and_the_knowledge_graph_id(store: Store, owners: dict[str, int]) -> None:
    save(store, owners, ADA, name="a.gif", confidence=0.9)
    save(store, owners, BEN, name="b.gif", confidence=0.8)
    assert store.merge("Ada Lovelace", "Bén Brown") == Identity("Bén Brown", ADA.kg_mid)
    for name in ("Ada Lovelace", "Bén Brown"):
        assert [one.media_uri for one in store.search(name).found] == ["s3://gifs/a.gif", "s3://gifs/b.gif"]
    assert [one.identity.name for one in store.list_identities()] == ["Bén Brown", "Catherine Clark"]


def test_a_media_that_showed_both_shows_the_merged_person_once(store: Store, owners: dict[str, int]) -> None:
    save(store, owners, ADA, BEN, CAT, name="a.gif")
    store.merge("Bén Brown", "Ada Lovelace")
    with store.reading() as connection:
        rows = connection.execute(
            text("SELECT identity, first_seen_ms, last_seen_ms, screen_time_ms FROM content_labels ORDER BY identity")
        ).all()
    assert [tuple(row) for row in rows] == [("Ada Lovelace", 0, 500, 500), ("Catherine Clark", 400, 700, 300)]
    told = store.load_annotations(owners["labelling_id"], [ref("a.gif")])[ref("a.gif").uri].result
    assert [one.label.identity for one in told.tracks] == [ADA, ADA, CAT]


def test_merges_of_merged_people_point_to_the_last_survivor(store: Store, owners: dict[str, int]) -> None:
    save(store, owners, ADA, name="a.gif")
    store.merge("Ada Lovelace", "Bén Brown")
    store.merge("Bén Brown", "Catherine Clark")
    assert [one.identity.name for one in store.search("Ada Lovelace").found] == ["Catherine Clark"]
    with pytest.raises(IdentityError, match="one person already"):
        store.merge("Ada Lovelace", "Catherine Clark")
    # The freed name can be given to the survivor.
    assert store.rename("Catherine Clark", "Ada Lovelace").name == "Ada Lovelace"
    assert [one.identity.name for one in store.search("Catherine Clark").found] == ["Ada Lovelace"]


def test_relabelling_after_a_merge_with_a_model_that_knows_both_changes_only_the_pointers(
    store: Store, owners: dict[str, int]
) -> None:
    save(store, owners, ADA, name="a.gif")
    store.merge("Ada Lovelace", "Bén Brown")
    before = store.search("Bén Brown").found
    people = dict.fromkeys(PEOPLE, 3)
    again = store.register_labelling(owners["network_id"], model="test@2", digest="2", photographs=people)
    assert store.label_contents(lambda tracks: [known(ADA) for _ in tracks], again, [1]) == {1}
    store.activate(again)
    after = store.search("Bén Brown").found
    assert [(one.media_uri, one.confidence, one.identity) for one in before] == [
        (one.media_uri, one.confidence, one.identity) for one in after
    ]


def test_a_corrected_name_with_the_same_knowledge_graph_id_is_the_same_person(
    store: Store, owners: dict[str, int]
) -> None:
    save(store, owners, ADA, name="a.gif")
    corrected = Identity("Ada Lovelace King", ADA.kg_mid)
    store.register_labelling(owners["network_id"], model="test@2", digest="2", photographs={corrected: 4})
    assert len(store.search("Ada Lovelace King").found) == 1
    assert len(store.list_identities()) == 3


def test_the_list_counts_photographs_and_contents(store: Store, owners: dict[str, int]) -> None:
    save(store, owners, ADA, BEN, name="a.gif")
    save(store, owners, ADA, name="b.gif")
    store.add_enrolled(
        CAT, embedder="e", embeddings=np.eye(2, 4, dtype=np.float32), photo_sha256=[digest(1), digest(2)]
    )
    assert [(one.identity.name, one.photographs, one.enrolled, one.contents) for one in store.list_identities()] == [
        ("Ada Lovelace", 12, 0, 2),
        ("Bén Brown", 3, 0, 1),
        ("Catherine Clark", 1, 2, 0),
    ]


def test_enrolled_photographs_come_back_exactly_and_once(store: Store) -> None:
    eileen = Identity("Eileen Collins")
    embeddings = np.random.default_rng(1).normal(size=(2, 128)).astype(np.float32)
    for _ in range(2):
        store.add_enrolled(eileen, embedder="e", embeddings=embeddings, photo_sha256=[digest(1), digest(2)])
    store.add_enrolled(eileen, embedder="other", embeddings=embeddings[:1], photo_sha256=[digest(1)])
    (found,) = store.list_enrolled("e")
    assert (found.identity, found.photo_sha256) == (eileen, (digest(1), digest(2)))
    assert np.array_equal(found.embeddings, embeddings)
    with store.writing() as connection:
        of_two_embedders = remove_enrolled(
            connection, ids_of(connection, {eileen.name})[eileen.name], photo_sha256=[digest(1)]
        )
    assert of_two_embedders == 1
    assert store.list_enrolled("other") == []
    assert len(store.list_enrolled("e")[0].embeddings) == 1


def test_enrolled_photographs_of_merged_people_come_together(store: Store) -> None:
    embeddings = np.eye(2, 4, dtype=np.float32)
    store.add_enrolled(ADA, embedder="e", embeddings=embeddings, photo_sha256=[digest(1), digest(2)])
    store.add_enrolled(BEN, embedder="e", embeddings=embeddings, photo_sha256=[digest(2), digest(3)])
    store.merge("Ada Lovelace", "Bén Brown")
    (found,) = store.list_enrolled("e")
    assert found.photo_sha256 == (digest(1), digest(2), digest(3))


def test_status_counts_media_by_state_and_failures_by_reason(store: Store, owners: dict[str, int]) -> None:
    save(store, owners, ADA, name="a.gif")
    store.save(
        [
            failure(ref("b.gif")),
            failure(ref("c.gif")),
            failure(ref("d.gif"), reason="too_large"),
            annotation(ref("e.gif"), content=99, damage="truncated"),
        ],
        **owners,
    )
    status = store.status()
    assert status.model == "test@1"
    assert (status.media, status.contents, status.damaged, status.identities, status.workers) == (5, 2, 1, 3, 0)
    assert status.by_state == {"pending": 0, "claimed": 0, "done": 2, "failed": 3, "quarantined": 0}
    assert status.failures == {"undecodable": 2, "too_large": 1}


def test_status_of_an_empty_database_is_all_zero(store: Store) -> None:
    status = store.status()
    assert (status.model, status.media, set(status.by_state.values()), status.failures) == (None, 0, {0}, {})


def test_retrying_many_has_several_transactions_and_leaves_what_fails_meanwhile(
    store: Store, owners: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotator.store.queue.requeue.AT_ONCE", 2)
    store.save([failure(ref(f"{number}.gif")) for number in range(5)], **owners)
    sizes: list[int] = []

    def requeue(connection: Connection, network_id: int, media_ids: Sequence[int], **_: object) -> int:
        sizes.append(len(media_ids))
        again = update(work).where(work.c.media_id.in_(media_ids))  # a worker has tried them at once
        connection.execute(again.values(state=int(WorkState.FAILED), finished_at=datetime(2999, 1, 1, tzinfo=UTC)))
        return network_id

    monkeypatch.setattr("annotator.store.store.requeue", requeue)
    assert store.retry() == 5
    assert sizes == [2, 2, 1, 0]


def test_retry_makes_failures_of_a_reason_pending_again(store: Store, owners: dict[str, int]) -> None:
    store.save([failure(ref("b.gif")), failure(ref("d.gif"), reason="too_large")], **owners)
    assert store.retry(reason="too_large") == 1
    assert store.retry(reason="too_large") == 0
    assert store.status().by_state == {"pending": 1, "claimed": 0, "done": 0, "failed": 1, "quarantined": 0}
    assert store.retry() == 1
    assert store.status().failures == {}


def test_unknown_tracks_and_co_appearances_are_views(store: Store, owners: dict[str, int]) -> None:
    save(store, owners, ADA, BEN, name="a.gif")
    save(store, owners, ADA, BEN, CAT, name="b.gif")
    store.save([annotation(ref("c.gif"), content=77, tracks=[track(0)], labels=[unknown(ADA)])], **owners)
    roll_up(store.engine)
    with store.reading() as connection:
        strangers = connection.execute(text("SELECT media_uri, track, screen_time_ms, faces FROM unknown_tracks")).all()
        pairs = connection.execute(
            text(
                "SELECT identity, other_identity, media FROM co_appearances"
                " WHERE identity < other_identity ORDER BY identity, other_identity"
            )
        ).all()
        counts = connection.execute(text("SELECT identity, media FROM identity_counts ORDER BY identity")).all()
    assert [tuple(row) for row in strangers] == [("s3://gifs/c.gif", 0, 300, 3)]
    assert [tuple(row) for row in pairs] == [
        ("Ada Lovelace", "Bén Brown", 2),
        ("Ada Lovelace", "Catherine Clark", 1),
        ("Bén Brown", "Catherine Clark", 1),
    ]
    assert [tuple(row) for row in counts] == [("Ada Lovelace", 2), ("Bén Brown", 2), ("Catherine Clark", 1)]


def test_an_sqlite_file_that_has_grown_finds_a_person_by_index(make_database: Callable[..., str]) -> None:
    url = make_database("sqlite")
    with Store.open(url) as store:
        network_id = store.register_network(SPEC)
        people = [Identity(f"Person {number}") for number in range(50)]
        labelling_id = store.register_labelling(
            network_id, model="test@1", digest="1", photographs=dict.fromkeys(people, 1)
        )
        outcomes = [
            annotation(ref(f"{number}.gif"), content=number, tracks=[track(0)], labels=[known(people[number % 50])])
            for number in range(500)
        ]
        store.save(outcomes, network_id=network_id, labelling_id=labelling_id)
    with Store.open(url) as store, store.reading() as connection:
        query = "EXPLAIN QUERY PLAN SELECT * FROM content_labels WHERE identity = 'Person 7'"
        plan = [row[-1] for row in connection.execute(text(query))]
    assert any("ix_content_labels_by_identity (labelling_id=? AND identity_id=?)" in step for step in plan)
