"""``annotator up``."""

from pathlib import Path
from typing import TYPE_CHECKING

from annotator.cli.output import err
from annotator.settings import load_settings
from annotator.stack.local import run_local_stack

if TYPE_CHECKING:
    from annotator.stack.local import StackUrls


def run_up(folder: Path | None) -> None:
    """Run the local stack until Ctrl-C.

    Args:
        folder: where it keeps its data; below the data folder by default.

    Raises:
        ConfigError: the extra is missing, or something cannot start.
        StackError: something ended before it was told to.

    """
    settings = load_settings()
    err().print("starting Postgres, broker, S3 endpoint and a worker …")
    run_local_stack(settings, on_ready=_tell, data_dir=folder)
    err().print("all stopped")


def _tell(urls: "StackUrls") -> None:
    """Say how to use what runs now. The local passwords protect nothing but this machine from itself: they show."""
    lines = [
        "",
        "Everything answers. In another terminal:",
        "",
        f"  export ANNOTATOR_DATABASE_URL='{urls.database_url}'",
        f"  export ANNOTATOR_BROKER_URL='{urls.broker_url}'",
    ]
    if urls.s3_endpoint_url is not None:
        lines.append(f"  export ANNOTATOR_S3_ENDPOINT_URL='{urls.s3_endpoint_url}'")
        lines.append("  export ANNOTATOR_S3_ACCESS_KEY_ID=local ANNOTATOR_S3_SECRET_ACCESS_KEY=local")
    lines += [
        "",
        "  annotate-backlog s3://BUCKET/PREFIX           register and queue what lies in a bucket",
        "  annotator status                              how far it has come",
        f"  {urls.psql} '{urls.database_url}'",
        "",
        f"Data stays in {urls.data_dir}. Ctrl-C stops everything.",
    ]
    for line in lines:
        err().print(line, markup=False, soft_wrap=True)
