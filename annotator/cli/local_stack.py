"""``annotator up``."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from annotator.cli.output import err
from annotator.settings import load_settings
from annotator.stack.local import run_local_stack

if TYPE_CHECKING:
    from annotator.stack.local import StackUrls

ENVIRONMENT_FILE: Final = "environment"


def run_up(folder: Path | None) -> None:
    """Run the local stack until Ctrl-C.

    While it runs, the file ``environment`` in its folder sets what another terminal needs.

    Args:
        folder: where it keeps its data; below the data folder by default.

    Raises:
        ConfigError: the extra is missing, or something cannot start.
        StackError: something ended before it was told to.

    """
    settings = load_settings()
    environment: list[Path] = []

    def tell(urls: "StackUrls") -> None:
        variables = _variables(urls, owns_s3=settings.s3_endpoint_url is None)
        environment.append(_write_environment(urls.data_dir / ENVIRONMENT_FILE, variables))
        _tell(urls, environment[0])

    err().print("starting Postgres, broker, S3 endpoint, web application and a worker …")
    try:
        run_local_stack(settings, on_ready=tell, data_dir=folder, with_web=True)
    finally:
        for path in environment:
            path.unlink(missing_ok=True)
    err().print("all stopped")


def _variables(urls: "StackUrls", *, owns_s3: bool) -> dict[str, str]:
    variables = {"ANNOTATOR_DATABASE_URL": urls.database_url, "ANNOTATOR_BROKER_URL": urls.broker_url}
    variables["ANNOTATOR_WORKER__ALIVE_FILE"] = urls.environment["ANNOTATOR_WORKER__ALIVE_FILE"]
    if urls.s3_endpoint_url is not None:
        variables["ANNOTATOR_S3_ENDPOINT_URL"] = urls.s3_endpoint_url
    if owns_s3:  # it takes any key pair, and clients insist on one
        variables |= {"ANNOTATOR_S3_ACCESS_KEY_ID": "local", "ANNOTATOR_S3_SECRET_ACCESS_KEY": "local"}
    return variables


def _write_environment(path: Path, variables: dict[str, str]) -> Path:
    """Write lines for a shell to read; they hold passwords, so only the owner may."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return path


def _tell(urls: "StackUrls", environment: Path) -> None:
    """Say how to use what runs now."""
    lines = [
        "",
        "Everything answers. In a browser:",
        "",
        *_in_a_browser(urls.web_address_file),
        "",
        "In another terminal:",
        "",
        f"  . {shlex.quote(str(environment))}",
        "  annotate-backlog s3://BUCKET/PREFIX      register and queue what lies in a bucket",
        "  annotator status                         how far it has come",
        f'  {urls.psql} "$ANNOTATOR_DATABASE_URL"',
        "",
        f"Data stays in {urls.data_dir}. Ctrl-C stops everything.",
    ]
    for line in lines:
        err().print(line, markup=False, soft_wrap=True)


def _in_a_browser(address_file: Path | None) -> list[str]:
    if address_file is None:
        return ["  nothing: pip install 'celebrity-annotator[web]' brings the web application"]
    try:
        address = address_file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        log = address_file.with_name("web.log")
        return [f"  nothing yet: the web application is tried again; {log} says why, {address_file} where it is then"]
    next_one = [f"  It opens once; the next address is in {address_file}."] if "/enter?key=" in address else []
    return [f"  {address}", *next_one]
