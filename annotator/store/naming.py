"""What else people are called: further names that find them, and their Knowledge Graph ids."""

from sqlalchemy import Connection, delete, select, update

from annotator.errors import IdentityError
from annotator.recognition.labels import is_kg_mid
from annotator.store.identities import checked_name, ids_of, load_identity, name_key, the_one_called
from annotator.store.registry import insert_missing
from annotator.store.tables import identities, identity_aliases
from annotator.store.takedowns.tombstones import insist_on_nobody_taken_down
from annotator.types import Identity


def add_alias(connection: Connection, name: str, alias: str) -> None:
    """Let another name find a person, too.

    Raises:
        IdentityError: nobody or several have the name, or somebody has the alias already.
        TakenDownError: the alias is a name of somebody who was taken down.

    """
    identity_id = the_one_called(connection, name)
    alias = checked_name(alias)
    insist_on_nobody_taken_down(connection, [Identity(alias)])
    if ids_of(connection, [alias]):
        raise IdentityError(f"somebody is found as {alias!r} already", name=alias)
    row = {"name": alias, "name_key": name_key(alias), "identity_id": identity_id}
    connection.execute(insert_missing(connection, identity_aliases).values(**row))


def remove_alias(connection: Connection, name: str, alias: str) -> None:
    """Let another name find a person no more. Names of people who were merged into the person stay.

    Raises:
        IdentityError: nobody or several have the name, or it is no alias of the person that can go.

    """
    identity_id = the_one_called(connection, name)
    mine = select(identities.c.id).where(identities.c.survivor_id == identity_id)
    gone = delete(identity_aliases).where(identity_aliases.c.name == alias, identity_aliases.c.identity_id.in_(mine))
    if not connection.execute(gone).rowcount:
        raise IdentityError(f"{alias!r} cannot be taken from {name}: it is no further name of the person", name=alias)


def change_kg_mid(connection: Connection, name: str, kg_mid: str | None) -> Identity:
    """Say which person of the Knowledge Graph somebody is; None is nobody known there.

    Raises:
        IdentityError: nobody or several have the name, it is no such id, or somebody else has it.
        TakenDownError: it is the id of somebody who was taken down.

    """
    identity_id = the_one_called(connection, name)
    if kg_mid is not None:
        if not is_kg_mid(kg_mid):
            raise IdentityError(f"{kg_mid!r} is no Knowledge Graph id: write it as /m/01vvyc_", name=name)
        insist_on_nobody_taken_down(connection, [Identity(load_identity(connection, identity_id).name, kg_mid)])
        others = select(identities.c.name).where(
            identities.c.kg_mid == kg_mid, identities.c.survivor_id != identity_id, identities.c.merged_into.is_(None)
        )
        holder = connection.execute(others.limit(1)).scalar_one_or_none()
        if holder is not None:
            raise IdentityError(f"{holder} has {kg_mid} already: merge the two, if they are one person", name=name)
    connection.execute(update(identities).where(identities.c.id == identity_id).values(kg_mid=kg_mid))
    return load_identity(connection, identity_id)
