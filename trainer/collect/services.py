"""Where the services are, and who asks them.

Sources, as of 2026: the User-Agent policy (https://foundation.wikimedia.org/wiki/Policy:Wikimedia_Foundation_User-Agent_Policy:
a name and version of the client and a way of reaching whoever runs it), and https://www.mediawiki.org/wiki/API:Imageinfo
(addresses of pictures are taken as the API gives them; they are on upload.wikimedia.org or thumb.wikimedia.org).
"""

import platform
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from annotator import __version__
from annotator.errors import ConfigError, ForbiddenSourceError

WIKIDATA_API: Final = "https://www.wikidata.org/w/api.php"
COMMONS_API: Final = "https://commons.wikimedia.org/w/api.php"
PICTURE_HOSTS: Final = frozenset({"upload.wikimedia.org", "thumb.wikimedia.org"})

_MAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PAGE: Final = re.compile(r"https?://[A-Za-z0-9.-]+\.[A-Za-z0-9-]+(:\d+)?(/[!-~]*)?")
_EXAMPLES: Final = re.compile(r"example\.(com|org|net)|@localhost", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Services:
    """The services and the hosts that may be asked; a redirect may lead to no other.

    Attributes:
        wikidata_api: address of Wikidata's ``api.php``.
        commons_api: address of Wikimedia Commons' ``api.php``.
        picture_hosts: hosts (``host`` or ``host:port``) that pictures may come from.
        allow_private: whether they may have addresses that are not public, and speak plain http.

    """

    wikidata_api: str = WIKIDATA_API
    commons_api: str = COMMONS_API
    picture_hosts: frozenset[str] = PICTURE_HOSTS
    allow_private: bool = False

    def check(self, url: str) -> None:
        """Check that an address may be asked.

        Raises:
            ForbiddenSourceError: it is another host's, is not https or is no address at all.

        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise ForbiddenSourceError(f"{url[:200]!r} is no address.") from error
        if parts.scheme != "https" and not (parts.scheme == "http" and self.allow_private):
            raise ForbiddenSourceError(f"{url[:200]!r} is no https address; nothing else is fetched.")
        if parts.username is not None or parts.password is not None:
            raise ForbiddenSourceError("An address with a user name or password is not fetched.")
        known = {urlsplit(api).netloc.lower() for api in (self.wikidata_api, self.commons_api)} | self.picture_hosts
        if (host if port is None else f"{host}:{port}") not in known:
            raise ForbiddenSourceError(f"{url[:200]!r} is not an address of Wikidata or Wikimedia Commons.")


def user_agent(contact: str | None) -> str:
    """Return the User-Agent that Wikimedia asks for.

    >>> user_agent("jane@museum.nl").split(" python")[0]
    'CelebrityAnnotatorTrainer/0.1.0 (jane@museum.nl)'

    Args:
        contact: an e-mail address or a page of whoever runs the program.

    Raises:
        ConfigError: there is none, or it is neither.

    """
    given = (contact or "").strip()
    if not (_MAIL.fullmatch(given) or _PAGE.fullmatch(given)) or _EXAMPLES.search(given):
        raise ConfigError(
            "Wikimedia asks whoever runs a program to leave an address: give --contact (or set TRAINER_CONTACT) "
            "with your e-mail address or a page that says how to reach you."
        )
    return f"CelebrityAnnotatorTrainer/{__version__} ({given}) python-http.client/{platform.python_version()}"
