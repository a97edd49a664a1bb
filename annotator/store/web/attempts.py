"""Attempts to log in, so that nobody can guess passwords, and nobody can shut others out by guessing wrong.

They are counted by account and address together, by account from wherever, and by address for whatever account. Who
comes with a device that the account has logged in with is counted by that device alone: strangers do not use it up.

An attempt is noted before the password is looked at, and taken back when it was right: of a thousand guesses at once
no more are looked at than of a thousand one after the other.
"""

import ipaddress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, delete, func, insert, select, text

from annotator.store.tables import web_attempts

# Wrong passwords that are taken within this time: for one account from one address, or from one device that it is known
# by; for one account from all addresses together; from one address for whatever account.
_WITHIN: Final = timedelta(minutes=15)
_FROM_ONE_PLACE: Final = 10
_OF_ACCOUNT: Final = 100
_OF_ADDRESS: Final = 50
_ONE_PLACE_V6: Final = 64  # bits; whoever has an address of IPv6 has all that begin with these


def place_of(address: str) -> str:
    """Return what counts as one place: an address of IPv4, the network of one of IPv6.

    >>> place_of("192.0.2.1"), place_of("::ffff:192.0.2.1"), place_of("2001:db8::7%eth0"), place_of("unknown")
    ('192.0.2.1', '192.0.2.1', '2001:db8::/64', 'unknown')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _ONE_PLACE_V6), strict=False))


def take_attempt(
    connection: Connection,
    name: str,
    address: str,
    *,
    device: str | None = None,
    now: datetime,
) -> timedelta | None:
    """Note that somebody tries a password.

    Args:
        connection: in a transaction that writes.
        name: the account as typed, whether there is one or not.
        address: where from.
        device: by which the account is known, where it has shown that; None is a stranger.
        now: the time.

    Returns:
        None where the password may be looked at, else for how long it may not.

    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyhow
        connection.execute(text("LOCK TABLE web_attempts IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(delete(web_attempts).where(web_attempts.c.at <= now - _WITHIN))
    counted, place = _counted_name(name, device), place_of(address)
    of_name, of_address = web_attempts.c.name == counted, web_attempts.c.address == place
    if device is not None:
        bounds = [(of_name, _FROM_ONE_PLACE)]
    else:
        bounds = [
            (and_(of_name, of_address), _FROM_ONE_PLACE),
            (of_name, _OF_ACCOUNT),
            (of_address, _OF_ADDRESS),
        ]
    for condition, most in bounds:
        count, first = connection.execute(select(func.count(), func.min(web_attempts.c.at)).where(condition)).one()
        if count >= most:
            return first + _WITHIN - now  # type: ignore[no-any-return]
    connection.execute(insert(web_attempts).values(name=counted, address=place, at=now))
    return None


def forget_attempts(connection: Connection, name: str, address: str, *, device: str | None = None) -> None:
    """Take back what somebody tried, from an address or by a known device, before the password was right."""
    of_place = web_attempts.c.name == _counted_name(name, device)
    if device is None:
        of_place &= web_attempts.c.address == place_of(address)
    connection.execute(delete(web_attempts).where(of_place))


def _counted_name(name: str, device: str | None) -> str:
    """Return under which name attempts are counted: no account has a space in its own."""
    return name if device is None else f"{name} {device}"
