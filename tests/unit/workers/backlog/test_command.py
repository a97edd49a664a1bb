"""Arguments of `annotate-backlog` that do not go together are refused before anything is opened."""

import pytest

from workers.backlog.command import main

URI = "s3://clips/"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "give s3://BUCKET/PREFIX"),
        ([URI, "--order", "most-viewed"], "with one of --views"),
        ([URI, "--views", "views.csv"], "with one of --views"),
        ([URI, "--order", "most-viewed", "--views", "views.csv", "--views-query", "SELECT 1"], "with one of --views"),
        ([URI, "--poll-every", "5m"], "belong to --follow"),
        ([URI, "--follow", "--limit", "3"], "takes all that a bucket holds"),
        ([URI, "--follow", "--dry-run"], "takes all that a bucket holds"),
        ([URI, "--follow", "--order", "most-viewed", "--views", "views.csv"], "takes all that a bucket holds"),
        ([URI, "--sample", "3"], "belong to --dry-run"),
        ([URI, "--price-per-hour", "1"], "belong to --dry-run"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert why in " ".join(capsys.readouterr().err.replace("│", " ").split())
