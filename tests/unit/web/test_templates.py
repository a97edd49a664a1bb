"""What templates make of sentences that other parts have written."""

import pytest

from annotator.web.errors import WebError
from annotator.web.templates import Templates


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("Call `annotator status` <now>.", "Call <code>annotator status</code> &lt;now&gt;."),
        ("`a <b>` and `c`", "<code>a &lt;b&gt;</code> and <code>c</code>"),
        ("Nobody is called O`Hara.", "Nobody is called O`Hara."),
    ],
)
def test_what_stands_in_backticks_is_set_as_code_and_whatever_it_holds_is_escaped(sentence: str, shown: str) -> None:
    class Nobody:
        role = None

    values = {"url": lambda *_, **__: "/", "static": lambda name: name, "menu": [], "here": "/", "visitor": Nobody}
    page = Templates().render("error.html", values | {"error": WebError(404, sentence)})
    assert f"<p>{shown}</p>" in page
