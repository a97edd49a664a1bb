"""Pages that commands write."""

from contextlib import suppress
from pathlib import Path

from annotator.errors import LocalDiskError


def write_page(path: Path, text: str) -> None:
    """Write a page, all of it or nothing; what a file name has that is no letter is escaped.

    Args:
        path: where ``--html`` says; its folder is made if missing.
        text: of the page.

    Raises:
        LocalDiskError: it cannot be written there.

    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError as exc:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise LocalDiskError(f"{path} cannot be written ({exc.strerror}): give --html another path") from exc
