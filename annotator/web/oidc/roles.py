"""Which role somebody has, and under which name, by what a token says."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from annotator.errors import AccountError, ConfigError
from annotator.store.web.accounts import Role, account_name

# What an account is called where the claim that was chosen cannot be a name.
_OTHER_NAMES: Final = ("preferred_username", "email", "sub")


def read_roles(written: Iterable[str]) -> dict[str, Role]:
    """Return roles by values of a claim.

    Args:
        written: ``VALUE=ROLE`` each.

    Raises:
        ConfigError: one is not, or there is no such role.

    >>> read_roles(["annotator-admins=admin", "staff=reader"])["staff"].word
    'reader'
    """
    roles = {}
    for one in written:
        value, _, word = one.rpartition("=")
        try:
            roles[value.strip()] = Role.of(word.strip())
        except AccountError as exc:
            raise ConfigError(f"ANNOTATOR_WEB__OIDC__ROLES: {exc}; write VALUE=ROLE, commas between several") from exc
    if "" in roles:
        raise ConfigError("ANNOTATOR_WEB__OIDC__ROLES: a role has no value; write VALUE=ROLE, commas between several")
    return roles


def role_of(claims: Mapping[str, Any], *, claim: str, roles: Mapping[str, Role]) -> Role | None:
    """Return the highest role that the values of a claim give; None is none.

    Args:
        claims: of a token that was checked.
        claim: name of a claim, or a way to one in others, with dots; its value is a text or a list of them.
        roles: by value.

    >>> roles = {"a": Role.ADMIN, "r": Role.READER}
    >>> role_of({"realm_access": {"roles": ["r", "a"]}}, claim="realm_access.roles", roles=roles)
    <Role.ADMIN: 4>
    >>> role_of({"groups": "x"}, claim="groups", roles=roles)
    """
    value = _value(claims, claim)
    if claim == "email" and claims.get("email_verified") is not True:
        return None  # anybody may write any address down
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    given = [roles[one] for one in values if isinstance(one, str) and one in roles]
    return max(given, default=None)


def name_of(claims: Mapping[str, Any], *, claim: str) -> str:
    """Return what the account of somebody is to be called: by the claim, else by others that can be a name.

    Raises:
        AccountError: none of them can.

    """
    for one in (claim, *_OTHER_NAMES):
        value = _value(claims, one)
        if isinstance(value, str):
            try:
                return account_name(value)
            except AccountError:
                continue
    raise AccountError("what the identity provider calls you cannot be the name of an account here: ask an admin")


def _value(claims: Mapping[str, Any], claim: str) -> object:
    if claim in claims:  # names that are addresses have dots, too
        return claims[claim]
    value: object = claims
    for part in claim.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
