"""Further names and Knowledge Graph ids of people, on both databases."""

import pytest
from sqlalchemy import insert

from annotator.errors import IdentityError, TakenDownError
from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.identities import find_identities, ids_of, register_identities
from annotator.store.naming import add_alias, change_kg_mid, remove_alias
from annotator.store.tables import takedowns
from annotator.store.takedowns.tombstones import add_tombstones, digests_of
from annotator.types import Identity
from tests.store_values import ADA, BEN, CAT


@pytest.fixture
def people(store: Store) -> Store:
    with store.writing() as connection:
        register_identities(connection, [ADA, BEN, CAT])
    return store


def test_a_further_name_finds_the_person_until_it_is_removed(people: Store) -> None:
    with people.writing() as connection:
        add_alias(connection, "ben brown", "Big  Ben")
        assert find_identities(connection, "big ben") == [ids_of(connection, [BEN.name])[BEN.name]]
        remove_alias(connection, BEN.name, "Big Ben")
        with pytest.raises(IdentityError):
            find_identities(connection, "big ben")


def test_nobody_gets_a_name_or_an_id_of_somebody_else(people: Store) -> None:
    with people.writing() as connection:
        for alias in (ADA.name, " "):
            with pytest.raises(IdentityError):
                add_alias(connection, BEN.name, alias)
        with pytest.raises(IdentityError, match=f"{ADA.name} has /m/0ada already"):
            change_kg_mid(connection, BEN.name, "/m/0ada")
        assert change_kg_mid(connection, ADA.name, "/m/0ada") == ADA
        with pytest.raises(IdentityError, match="write it as"):
            change_kg_mid(connection, BEN.name, "0ben")
        assert change_kg_mid(connection, ADA.name, None) == Identity(ADA.name)


def test_a_name_of_who_was_merged_cannot_be_removed(people: Store) -> None:
    people.merge(BEN.name, ADA.name)
    with people.writing() as connection, pytest.raises(IdentityError, match="no further name"):
        remove_alias(connection, ADA.name, BEN.name)


def test_who_was_taken_down_does_not_come_back_by_a_further_name_or_an_id(people: Store) -> None:
    with people.writing() as connection:
        digests = digests_of(connection, [Identity("Dora Dean", "/m/0dora")])
        begun = insert(takedowns).values(started_at=utc_now(), done_by="eve", identity_ids=[], done={})
        takedown_id = connection.execute(begun.returning(takedowns.c.id)).scalar_one()
        add_tombstones(connection, digests, takedown_id=takedown_id)
        with pytest.raises(TakenDownError):
            add_alias(connection, BEN.name, "Dora Dean")
        with pytest.raises(TakenDownError):
            change_kg_mid(connection, BEN.name, "/m/0dora")
