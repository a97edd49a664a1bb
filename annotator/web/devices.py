"""Browsers that an account has logged in with: they may go on trying passwords while strangers guess.

A cookie holds something random, and an HMAC of it by the hash of the account's password. So nothing is kept for it,
nobody can make one, and it is worth nothing when the password is another one. It opens nothing: who has stolen it may
try ten passwords in a quarter of an hour, as anybody may.

Source: OWASP, «Blocking Brute Force Attacks», device cookies.
"""

import hashlib
import hmac
import re
import secrets
from typing import Final

from annotator.store.web.accounts import Account

LASTS_S: Final = 180 * 24 * 3600
_FORM: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


def new_device(account: Account) -> str:
    """Return what a browser keeps that has logged in."""
    device = secrets.token_urlsafe(16)
    return f"{device}.{_mark(account, device)}"


def device_of(account: Account | None, kept: str) -> str | None:
    """Return by which device an account is known; None where it is none of this account.

    Args:
        account: whose password is tried; None is nobody's.
        kept: what the browser sends.

    """
    found = _FORM.fullmatch(kept)
    if found is None or account is None:
        return None
    return found[1] if hmac.compare_digest(_mark(account, found[1]), found[2]) else None


def _mark(account: Account, device: str) -> str:
    signed = f"annotator-device:{account.account_id}:{device}"
    return hmac.new(account.password_hash.encode(), signed.encode(), hashlib.sha256).hexdigest()
