"""Asking whether bytes are annotated: right, from several threads, and after a lost connection."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from annotator.store import Store
from annotator.store.known import KnownContents
from tests.store_values import SPEC, annotation, digest, ref


def prepared(store: Store) -> tuple[KnownContents, int]:
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="test@1", digest="1", photographs={})
    outcome = annotation(ref(), content=1)
    store.save([outcome], network_id=network_id, labelling_id=labelling_id)
    return KnownContents(store.engine, network_id), network_id


def test_it_knows_what_its_own_network_has_annotated(store: Store) -> None:
    is_known, _ = prepared(store)
    other = KnownContents(store.engine, store.register_network({"name": "another"}))
    assert is_known(digest(1))
    assert not is_known(digest(2))
    assert not other(digest(1))


def test_an_answer_is_of_now_and_not_of_the_first_question(store: Store) -> None:
    is_known, network_id = prepared(store)
    assert not is_known(digest(2))
    labelling_id = store.active_labelling()
    assert labelling_id is not None
    outcome = annotation(ref("b.gif"), content=2)
    store.save([outcome], network_id=network_id, labelling_id=labelling_id)
    assert is_known(digest(2))


def test_several_threads_ask_at_once(store: Store) -> None:
    is_known, _ = prepared(store)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(is_known, [digest(1), digest(2)] * 50))
    assert answers == [True, False] * 50


def test_a_lost_connection_is_made_anew(store: Store) -> None:
    is_known, _ = prepared(store)
    assert is_known(digest(1))
    if store.engine.dialect.name == "postgresql":
        with store.writing() as connection:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(text(f"SELECT pg_terminate_backend(pid) {others}"))
    else:
        store.engine.dispose()
    assert is_known(digest(1))
    assert not is_known(digest(2))
