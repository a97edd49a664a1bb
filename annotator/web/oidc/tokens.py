"""What an ID token must be: signed by a key of the provider, for us, for this attempt, and of now.

Source: OpenID Connect Core 1.0, section 3.1.3.7.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from annotator.web.errors import WebError

# Public keys only: «none» and what is signed with a secret that several know are refused.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
# Clocks of two machines differ; nobody's should by more.
SKEW: Final = timedelta(minutes=1)
_LONGEST_TOKEN: Final = 64 * 1024
_LONGEST_SUBJECT: Final = 255  # of OpenID Connect Core, section 2
_MOST_KEYS: Final = 100
_KINDS: Final = {"R": "RSA", "P": "RSA", "E": "EC"}

PublicKey = jwk.RSAKey | jwk.ECKey


def refused(why: str) -> WebError:
    """Return the error of an answer that is not believed."""
    return WebError(401, f"What the identity provider has answered is refused: {why}. Log in again.")


def public_keys(document: Mapping[str, Any]) -> list[PublicKey]:
    """Return the keys of a JWK set that sign tokens as we take them; others are left out."""
    listed = document.get("keys")
    keys: list[PublicKey] = []
    for one in listed[:_MOST_KEYS] if isinstance(listed, list) else []:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig":
            continue
        try:
            if one.get("kty") == "RSA":
                keys.append(jwk.RSAKey.import_key(one))
            elif one.get("kty") == "EC":
                keys.append(jwk.ECKey.import_key(one))
        except (JoseError, ValueError, TypeError, KeyError):
            continue  # a key that is broken signs nothing that we take
    return keys


def key_id_of(token: str) -> str | None:
    """Return which key a token says that it was signed with; None where it does not say.

    Raises:
        WebError: it is no token.

    """
    if len(token) > _LONGEST_TOKEN:
        raise refused("its token is too long")
    try:
        key_id = jws.extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError) as exc:
        raise refused("its token cannot be read") from exc
    return key_id if isinstance(key_id, str) else None


def has_key(keys: Sequence[PublicKey], key_id: str | None) -> bool:
    """Say whether a key is among those that are known."""
    return bool(keys) if key_id is None else any(key.kid == key_id for key in keys)


def claims_of(token: str, keys: Sequence[PublicKey]) -> dict[str, Any]:
    """Return what a token says, once its signature is right.

    Raises:
        WebError: it is no token, or signed by nobody that is known, or not at all.

    """
    key_id = key_id_of(token)

    def find_key(signed: Any) -> PublicKey:  # noqa: ANN401 - a protocol of joserfc
        kind = _KINDS.get(str(signed.headers().get("alg"))[:1])
        fitting = [key for key in keys if key.key_type == kind and key_id in (None, key.kid)]
        if len(fitting) != 1:  # with several, it must say which
            raise refused("its token is signed by an unknown key")
        return fitting[0]

    try:
        return jwt.decode(token, find_key, algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError) as exc:
        raise refused("its token is not signed as it must be") from exc


def check_claims(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: datetime) -> None:
    """Check that a token whose signature is right is for us, for this attempt, and of now.

    Args:
        claims: what it says.
        issuer: who must have made it.
        client_id: for whom.
        nonce: of the attempt.
        now: the time.

    Raises:
        WebError: it is not.

    """
    if claims.get("iss") != issuer:
        raise refused("its token is of another provider")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or client_id not in audiences:
        raise refused("its token is for another application")
    if claims.get("azp", None if len(audiences) > 1 else client_id) != client_id:
        raise refused("its token was given to another application")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise refused("its token belongs to another attempt")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise refused("its token says of nobody")
    _check_times(claims, now)


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    expires_s, issued_s = _seconds(claims, "exp"), _seconds(claims, "iat")
    skew_s, now_s = SKEW.total_seconds(), now.timestamp()
    if expires_s is None or now_s > expires_s + skew_s:
        raise refused("its token has expired")
    begins_s = _seconds(claims, "nbf") if "nbf" in claims else issued_s
    if issued_s is None or begins_s is None or max(issued_s, begins_s) > now_s + skew_s:
        raise refused("its token is of a time to come: the clocks differ")


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
