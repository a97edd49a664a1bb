"""Pages that commands write."""

from pathlib import Path

from annotator.appearing import appearing_file


def write_page(path: Path, text: str) -> None:
    """Write a page, all of it or nothing; what a file name has that is no letter is escaped.

    Args:
        path: where ``--html`` says; its folder is made if missing.
        text: of the page.

    Raises:
        LocalDiskError: it cannot be written there.

    """
    with appearing_file(path, remedy="give --html another path") as file:
        file.write(text.encode("utf-8", "backslashreplace"))
