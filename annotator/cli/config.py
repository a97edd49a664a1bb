"""``annotator config``."""

from collections.abc import Sequence

from rich.text import Text

from annotator.cli.output import print_json_line, print_table
from annotator.settings import EffectiveSetting, explain_settings, load_settings


def show_config(*, as_json: bool) -> None:
    """Print the effective settings with their source, secrets masked."""
    listed = explain_settings(load_settings())
    if as_json:
        print_json_line({one.name: {"value": one.value, "source": one.source} for one in listed})
        return
    print_table(["setting", "value", "source", "what it does"], _rows(listed))


def _rows(listed: Sequence[EffectiveSetting]) -> list[list[str | Text]]:
    return [
        [
            one.name,
            Text("not set", style="dim") if one.value is None else one.value,
            Text(one.source, style="dim" if one.source == "default" else "bold"),
            Text(one.description, style="dim"),
        ]
        for one in listed
    ]
