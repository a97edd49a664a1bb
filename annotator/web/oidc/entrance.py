"""The whole of it, by the settings: from a browser that wants to log in elsewhere to who has."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from annotator.errors import ConfigError
from annotator.settings import OidcSettings
from annotator.store.web.accounts import Role
from annotator.web.errors import WebError
from annotator.web.oidc.attempt import Attempt
from annotator.web.oidc.provider import Client, Provider, is_safe_address
from annotator.web.oidc.roles import name_of, read_roles, role_of
from annotator.web.oidc.tokens import refused

_LONGEST_CODE: Final = 4096


class Elsewhere:
    """Logging in at the identity provider of the settings."""

    def __init__(self, settings: OidcSettings) -> None:
        """Read the settings; the provider is asked when somebody wants to log in.

        Raises:
            ConfigError: a setting is missing or cannot be.

        """
        if settings.issuer is None or settings.client_id is None or not settings.roles:
            raise ConfigError(
                "logging in elsewhere needs ANNOTATOR_WEB__OIDC__ISSUER, CLIENT_ID and ROLES, all three: docs/web.md"
            )
        if not is_safe_address(settings.issuer, near=settings.issuer):
            raise ConfigError(f"ANNOTATOR_WEB__OIDC__ISSUER: {settings.issuer} is no https address")
        self._settings = settings
        self._roles = read_roles(settings.roles)
        self.issuer = settings.issuer
        self.label = settings.label or urlsplit(self.issuer).hostname or self.issuer
        self._provider = Provider(Client(self.issuer, settings.client_id, _secret_of(settings)))

    def begin(self, secret: str, *, target: str, redirect_uri: str, now: datetime) -> str:
        """Return where a browser is sent.

        Args:
            secret: of its cookie.
            target: where it wants to go afterwards.
            redirect_uri: where it comes back to.
            now: the time.

        Raises:
            WebError: the provider does not answer as it should.

        """
        return self._provider.address_for(Attempt.begin(secret, target=target, now=now), redirect_uri=redirect_uri)

    def finish(
        self, brought: Mapping[str, str], secret: str | None, *, redirect_uri: str, now: datetime
    ) -> tuple[dict[str, Any], str]:
        """Return what the provider says of somebody, and where the browser wants to go.

        Args:
            brought: the query with which the browser has come back.
            secret: of its cookie; None is none.
            redirect_uri: where it has come back to.
            now: the time.

        Raises:
            WebError: it is not an answer to this browser, or the provider or its token is refused.

        """
        attempt = Attempt.of_state(brought.get("state", ""), secret, now=now)
        if attempt is None:
            raise WebError(403, "This browser has begun no such login, or longer ago than ten minutes: log in again.")
        self._provider.check_sender(brought.get("iss"))
        code = brought.get("code", "")
        if not code or "error" in brought:
            denied = brought.get("error") == "access_denied"
            raise refused("it did not let you in" if denied else "it brings no code")
        if len(code) > _LONGEST_CODE:
            raise refused("its code is too long")
        return self._provider.claims_for(code, attempt, redirect_uri=redirect_uri, now=now), attempt.target

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """Return the role that a token gives; None is none."""
        return role_of(claims, claim=self._settings.role_claim, roles=self._roles)

    def name_of(self, claims: Mapping[str, Any]) -> str:
        """Return what the account is to be called.

        Raises:
            AccountError: nothing that the token says can be a name.

        """
        return name_of(claims, claim=self._settings.name_claim)


def _secret_of(settings: OidcSettings) -> str | None:
    if settings.client_secret is not None:
        return settings.client_secret.get_secret_value()
    return None if settings.client_secret_file is None else _read_secret(settings.client_secret_file)


def _read_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"ANNOTATOR_WEB__OIDC__CLIENT_SECRET_FILE: {path} cannot be read: {exc}") from exc
