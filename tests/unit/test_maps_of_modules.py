"""Tables that say where what is in the larger packages have every module, and no other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("page", "package"), [("web.md", "web"), ("database.md", "store")])
def test_every_module_has_a_place_in_the_table_and_nothing_else_has(page: str, package: str) -> None:
    section = (ROOT / "docs" / page).read_text(encoding="utf-8").partition("## Its modules\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    folder = ROOT / "annotator" / package
    modules = {path.name for path in folder.glob("*.py") if path.name != "__init__.py"}
    packages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    assert sorted(named) == sorted(modules | packages)
