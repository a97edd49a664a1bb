"""What a person decides about groups, which no later run takes back: these are one, these are another one, this is she.

A group about which somebody has decided is kept: it never joins another one that is kept, and its tracks stay in it,
also when all groups are made anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, select, tuple_, update

from annotator.errors import ConfigError, StrangerError
from annotator.grouping.points import rule_of
from annotator.grouping.threshold import MOST_SUMMED
from annotator.recognition.bundle import ModelBundle
from annotator.store.connection import reading, writing
from annotator.store.locks import change_corrections
from annotator.store.promotions import who_is_this
from annotator.store.registry import active_network, batched
from annotator.store.strangers.counting import count_anew
from annotator.store.strangers.groups import decode_total, encode_total, write_united
from annotator.store.strangers.running import changing_groups, read_points
from annotator.store.strangers.state import State, load_state, move_on
from annotator.store.strangers.unnaming import Unnamed, unname
from annotator.store.tables import grouped_tracks, identities, networks, track_groups
from annotator.types import TrackKey

_ASKED: Final = 500  # tracks in one statement


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it is now.

    Attributes:
        number: what it is called.
        tracks: that its centre is made of.
        total: the sum of their points, as stored.
        identity_id: who it was named as; None for nobody.

    """

    number: int
    tracks: int
    total: bytes
    identity_id: int | None


def find_group(connection: Connection, network_id: int, number: int) -> Group:
    """Return a group by its number, or by that of one that has become part of it.

    Raises:
        StrangerError: there is none.

    """
    groups = track_groups.c
    survivor = select(groups.survivor_no).where(groups.network_id == network_id, groups.group_no == number)
    row = connection.execute(
        select(groups.group_no, groups.tracks, groups.total, groups.identity_id).where(
            groups.network_id == network_id, groups.group_no == survivor.scalar_subquery()
        )
    ).one_or_none()
    if row is None:
        raise StrangerError(f"there is no stranger {number}: `annotator strangers list` shows who there is")
    return Group(row.group_no, row.tracks, bytes(row.total), row.identity_id)


def members_of(connection: Connection, network_id: int, number: int) -> list[TrackKey]:
    """Return the tracks of a group, in order."""
    rows = connection.execute(
        select(grouped_tracks.c.content_id, grouped_tracks.c.track_no)
        .where(*_in_group(network_id, number))
        .order_by(grouped_tracks.c.content_id, grouped_tracks.c.track_no)
    )
    return [(content_id, track_no) for content_id, track_no in rows]


def _nothing_more(_connection: Connection) -> None:
    """Keep nothing else."""


def merge_groups(
    engine: Engine, network_id: int, number: int, into: int, *, note: Callable[[Connection], None] = _nothing_more
) -> Group:
    """Let two groups be one, for good.

    Args:
        engine: of the database.
        network_id: whose tracks they are.
        number: of the group that is given up; the number goes on to find it.
        into: of the group that remains.
        note: keeps what else is to be known of it, in its transaction.

    Returns:
        The group.

    Raises:
        StrangerError: one of them is not there, both are one already, or they were named as two people.
        GroupingTakenError: another process changes the groups just now.

    """
    with changing_groups(engine, network_id), writing(engine) as connection:
        state = _state(connection, network_id)
        lost, kept = (find_group(connection, network_id, one) for one in (number, into))
        if lost.number == kept.number:
            raise StrangerError(f"strangers {number} and {into} are one already")
        if len(_people(connection, {lost.identity_id, kept.identity_id} - {None})) > 1:
            raise StrangerError(
                f"strangers {number} and {into} were named as two people: if they are one, `annotator identities"
                " --merge` makes the names one"
            )
        total = decode_total(kept.total)
        if lost.tracks + kept.tracks <= MOST_SUMMED:
            total = total + decode_total(lost.total)
        write_united(connection, network_id, [(lost.number, kept.number)])
        _keep(
            connection,
            network_id,
            kept.number,
            tracks=lost.tracks + kept.tracks,
            total=encode_total(total),
            identity_id=kept.identity_id or lost.identity_id,
        )
        move_on(connection, state)
        count_anew(connection, network_id, [lost.number, kept.number])
        note(connection)
        return find_group(connection, network_id, kept.number)


def _people(connection: Connection, identity_ids: set[int | None]) -> set[int]:
    """Return who stands for some people now: those who were merged are one."""
    standing = select(identities.c.survivor_id).where(identities.c.id.in_(identity_ids))
    return set(connection.execute(standing).scalars())


@dataclass(frozen=True, slots=True)
class SplitOff:
    """A group that was split off another one.

    Attributes:
        number: what it is called.
        tracks: how many tracks it has.
        unnamed: what became of the name that the other group has; None where it has none.

    """

    number: int
    tracks: int
    unnamed: Unnamed | None


def split_group(  # noqa: PLR0913 - all but the first by name
    engine: Engine,
    network_id: int,
    number: int,
    *,
    keys: Sequence[TrackKey],
    bundle: ModelBundle,
    said_by: str | None = None,
    note: Callable[[Connection, SplitOff], None] = lambda *_: None,
) -> SplitOff:
    """Let some tracks of a group be another one, for good. Where the group has a name, they are not that person.

    Args:
        engine: of the database.
        network_id: whose tracks they are.
        number: of the group.
        keys: which of its tracks.
        bundle: as of the run that made the groups.
        said_by: who says so; by default the user of this machine.
        note: keeps what else is to be known of it, in its transaction, given the new group.

    Returns:
        The new group. What is stored is not labelled anew without the evidence that is gone yet.

    Raises:
        StrangerError: there is no such group, a track is not in it, or none would be left in it.
        ConfigError: the groups were made with another model's centre.
        GroupingTakenError: another process changes the groups just now.

    """
    with changing_groups(engine, network_id), writing(engine) as connection:
        change_corrections(connection, connection.execute(select(networks.c.id)).scalars().all())
        state = _state(connection, network_id)
        if state.rule != rule_of(bundle):
            raise ConfigError("the groups were made with another model: run `annotator strangers group` first")
        group = find_group(connection, network_id, number)
        moved = _some_of(members_of(connection, network_id, group.number), keys, number)
        total = _sum_of_points(connection, bundle, network_id, moved)
        new_no = state.next_no
        left = decode_total(group.total) - (total if group.tracks <= MOST_SUMMED else 0)
        _keep(connection, network_id, group.number, tracks=max(1, group.tracks - len(moved)), total=encode_total(left))
        connection.execute(
            track_groups.insert().values(
                network_id=network_id,
                group_no=new_no,
                tracks=len(moved),
                total=encode_total(total),
                is_kept=True,
            )
        )
        for some in batched(sorted(moved), _ASKED):
            here = tuple_(grouped_tracks.c.content_id, grouped_tracks.c.track_no).in_(list(some))
            where = (grouped_tracks.c.network_id == network_id, here)
            connection.execute(update(grouped_tracks).where(*where).values(group_no=new_no))
        move_on(connection, state, founded=state.founded + 1, next_no=new_no + 1)
        unnamed = None
        if group.identity_id is not None:
            says = said_by or who_is_this()
            unnamed = unname(connection, network_id, moved, identity_id=group.identity_id, said_by=says)
        count_anew(connection, network_id, [group.number, new_no])
        new = SplitOff(new_no, len(moved), unnamed)
        note(connection, new)
        return new


def name_group(
    engine: Engine,
    network_id: int,
    number: int,
    identity_id: int,
    *,
    note: Callable[[Connection], None] = _nothing_more,
) -> None:
    """Note who a group is; its tracks stay in it from now on.

    Args:
        engine: of the database.
        network_id: whose tracks they are.
        number: of the group.
        identity_id: who it is.
        note: keeps what else is to be known of it, in its transaction.

    Raises:
        StrangerError: there is no such group.
        GroupingTakenError: another process changes the groups just now.

    """
    with changing_groups(engine, network_id), writing(engine) as connection:
        state = _state(connection, network_id)
        group = find_group(connection, network_id, number)
        _keep(connection, network_id, group.number, identity_id=identity_id)
        move_on(connection, state)
        note(connection)


def network_of_strangers(engine: Engine) -> int:
    """Return the network whose strangers are shown.

    Raises:
        StrangerError: nothing is grouped yet.

    """
    with reading(engine) as connection:
        network_id = active_network(connection)
        if network_id is None or load_state(connection, network_id) is None:
            raise StrangerError("no strangers are grouped yet: run `annotator strangers group`")
        return network_id


def _state(connection: Connection, network_id: int) -> State:
    state = load_state(connection, network_id)
    if state is None:
        raise StrangerError("no strangers are grouped yet: run `annotator strangers group`")
    return state


def _keep(connection: Connection, network_id: int, number: int, **values: Any) -> None:  # noqa: ANN401  (columns)
    """Note that a person has decided what a group is, and that its tracks are in it."""
    groups = track_groups.c
    connection.execute(
        update(track_groups)
        .where(groups.network_id == network_id, groups.group_no == number)
        .values(is_kept=True, **values)
    )
    connection.execute(update(grouped_tracks).where(*_in_group(network_id, number)).values(is_fixed=True))


def _in_group(network_id: int, number: int) -> tuple[Any, ...]:
    """Return the conditions on ``grouped_tracks``: all that is in a group now."""
    groups = track_groups.c
    numbers = select(groups.group_no).where(groups.network_id == network_id, groups.survivor_no == number)
    return grouped_tracks.c.network_id == network_id, grouped_tracks.c.group_no.in_(numbers)


def _some_of(members: Sequence[TrackKey], keys: Sequence[TrackKey], number: int) -> set[TrackKey]:
    moved = set(keys)
    if not moved or not moved <= set(members):
        raise StrangerError(f"not all of these tracks are stranger {number}'s: `annotator strangers show {number}`")
    if len(moved) == len(members):
        raise StrangerError(f"these are all tracks of stranger {number}: leave some")
    return moved


def _sum_of_points(
    connection: Connection, bundle: ModelBundle, network_id: int, wanted: set[TrackKey]
) -> "np.ndarray[Any, np.dtype[np.int32]]":
    total = np.zeros(len(bundle.mean), np.int32)
    for content_id in sorted({content_id for content_id, _ in wanted}):
        keys, vectors, _ = read_points(connection, network_id, [content_id], bundle=bundle)
        for key, vector in zip(keys, vectors, strict=True):
            if key in wanted:
                total += vector
    return total
