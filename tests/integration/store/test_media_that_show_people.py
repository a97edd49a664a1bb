"""Media that show several people: the same ones, in the same order, whichever person the database begins with."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from annotator.store import Store
from annotator.store.identities import find_identities
from annotator.store.web import finding
from annotator.store.web.finding import FoundMedia, Question, find_media_with
from annotator.types import Identity, MediaAnnotation
from tests.store_values import SPEC, annotation, known, ref, track

SHARES = {"Often Seen": 0.9, "Now and Then": 0.5, "Hardly Ever": 0.3}
CONTENTS = 120
PAGE = 4


@pytest.fixture
def annotations(store: Store) -> list[MediaAnnotation]:
    """A hundred and twenty media, in which people are seen in one of two shots, some often and some hardly ever."""
    random = np.random.default_rng(3)
    people = {Identity(name): share for name, share in SHARES.items()}
    made = []
    for content in range(1, CONTENTS + 1):
        shown = [one for one, share in people.items() if random.random() < share]
        tracks = [replace(track(number), shot_no=int(random.integers(2))) for number in range(len(shown))]
        labels = [known(one, confidence=float(round(random.uniform(0.5, 1), 2))) for one in shown]
        made.append(annotation(ref(f"{content}.gif"), content=content, tracks=tracks, labels=labels))
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="t@1", digest="d", photographs=dict.fromkeys(people, 3))
    store.save(made, network_id=network_id, labelling_id=labelling_id)
    return made


def expected(annotations: list[MediaAnnotation], names: tuple[str, ...], *, is_in_one_shot: bool) -> list[str]:
    found = []
    for one in annotations:
        shots: dict[str, tuple[float, int]] = {
            label.candidates[0].identity.name: (label.candidates[0].confidence, seen.shot_no)
            for label, seen in zip(one.labels, one.tracks, strict=True)
        }
        if set(names) <= set(shots) and (not is_in_one_shot or len({shots[name][1] for name in names}) == 1):
            found.append((-shots[names[0]][0], int(one.content_sha256, 16), one.media.uri))
    return [uri for *_, uri in sorted(found)]


def page_by_page(store: Store, question: Question) -> list[str]:
    found: list[FoundMedia] = []
    while True:
        with store.reading() as connection:
            page = find_media_with(connection, question, limit=PAGE, after=found[-1].place if found else None)
        found += page
        if len(page) < PAGE:
            return [one.uri for one in found]


@pytest.mark.parametrize("few", [1, 20, 5_000])
@pytest.mark.parametrize("is_in_one_shot", [False, True])
def test_all_orders_of_people_find_all_media_with_them(  # noqa: PLR0917 - what is varied
    store: Store,
    annotations: list[MediaAnnotation],
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    is_in_one_shot: bool,  # noqa: FBT001 - what is varied
) -> None:
    monkeypatch.setattr(finding, "_FEW", few)
    orders = [names for count in (1, 2, 3) for names in permutations(SHARES, count)]
    for names in orders:
        with store.reading() as connection:
            people = tuple(tuple(find_identities(connection, name)) for name in names)
        found = page_by_page(store, Question(people, is_in_one_shot=is_in_one_shot))
        assert found == expected(annotations, names, is_in_one_shot=is_in_one_shot), names
    assert 0 < len(found) < CONTENTS / 2


def test_a_name_that_means_two_people_finds_a_media_with_both_once(store: Store) -> None:
    with_accent, without = Identity("José Pérez"), Identity("Jose Perez")
    network_id = store.register_network(SPEC)
    photographs = dict.fromkeys((with_accent, without), 3)
    labelling_id = store.register_labelling(network_id, model="t@1", digest="d", photographs=photographs)
    labels = [known(with_accent, confidence=0.7), known(without, confidence=0.9)]
    both = annotation(ref("both.gif"), content=1, tracks=[track(0), track(1)], labels=labels)
    store.save([both], network_id=network_id, labelling_id=labelling_id)
    with store.reading() as connection:
        meant = tuple(find_identities(connection, "jose perez"))
        found = find_media_with(connection, Question((meant,)), limit=10)
    assert len(meant) == 2
    assert [(one.uri, [seen.confidence for seen in one.appearances]) for one in found] == [(both.media.uri, [0.9])]
