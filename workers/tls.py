"""An encrypted broker is a known broker: its certificate is always checked.

Left to itself, Celery's transport takes ``rediss://`` without further words for «encrypted to whoever answers».
"""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from annotator.errors import ConfigError

_SCHEME: Final = "rediss"
_CHECKED: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}
_CA_FILE: Final = "ssl_ca_certs"
_ALSO_REQUIRED: Final = frozenset({"required", "CERT_REQUIRED"})


def checked_broker_url(url: str) -> str:
    """Return the URL of a broker so that its certificate and name are checked, where it is encrypted.

    Args:
        url: ``redis://…``, or ``rediss://…`` with ``?ssl_ca_certs=FILE`` where no authority that the system knows has
            signed the certificate. ``ssl_certfile`` and ``ssl_keyfile`` name the client's own, where one is asked for.

    Raises:
        ConfigError: the URL says not to check, or names a file that is not there.

    >>> checked_broker_url("redis://broker:6379/0"), checked_broker_url("rediss://broker:6380/0")
    ('redis://broker:6379/0', 'rediss://broker:6380/0?ssl_cert_reqs=required&ssl_check_hostname=true')
    """
    parts = urlsplit(url)
    if parts.scheme != _SCHEME:
        return url
    given = dict(parse_qsl(parts.query))
    if given.get("ssl_cert_reqs", "required") not in _ALSO_REQUIRED or given.get("ssl_check_hostname") == "false":
        raise ConfigError(
            "ANNOTATOR_BROKER_URL asks not to check the broker's certificate: anybody could stand in for it. Name the"
            f" file of the authority that has signed it: rediss://…?{_CA_FILE}=FILE."
        )
    for name in (_CA_FILE, "ssl_certfile", "ssl_keyfile"):
        if name in given and not Path(given[name]).is_file():
            raise ConfigError(f"there is no file {given[name]}, which {name} in ANNOTATOR_BROKER_URL names.")
    return urlunsplit(parts._replace(query=urlencode(given | _CHECKED, safe="/")))
