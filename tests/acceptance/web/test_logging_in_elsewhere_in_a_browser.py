"""Logging in at an identity provider, in a real browser: there and back through its redirects, and being refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browsers import open_chromium, watched
from tests.oidc_provider import CLIENT_ID, SECRET, ProviderForTests, oidc_provider
from tests.web_looks import LOOKS, insist_on_whole
from tests.web_process import running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, ProviderForTests]]:
    """A browser, the address of the running application, and the provider that it lets people log in at."""
    folder = tmp_path_factory.mktemp("web")
    secret = folder / "secret"
    secret.write_text(SECRET)
    with open_chromium() as browser, oidc_provider() as provider:
        chosen = {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret_file": str(secret)}
        chosen |= {"roles": "staff=reader", "label": "Example"}
        with running(folder, **{f"oidc__{name}": value for name, value in chosen.items()}) as (_, address):
            yield browser, address, provider


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width_px", "height_px"), LOOKS)
def test_somebody_logs_in_there_and_lands_where_they_wanted_to(  # noqa: PLR0917 - what is varied
    site: tuple[Any, str, ProviderForTests], tmp_path: Path, scheme: str, width_px: int, height_px: int
) -> None:
    browser, address, _ = site
    viewport = {"width": width_px, "height": height_px}
    page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
    wrong = watched(page)
    page.goto(f"{address}/people", wait_until="networkidle")
    look(page, width_px, tmp_path / "login.png")
    page.get_by_role("link", name="Log in with Example").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/people")
    page.goto(f"{address}/account", wait_until="networkidle")
    look(page, width_px, tmp_path / "account.png")
    assert "You log in at" in page.locator("main").inner_text()
    assert wrong == []


@pytest.mark.slow
def test_whoever_has_no_role_sees_why_and_may_try_again(
    site: tuple[Any, str, ProviderForTests], tmp_path: Path
) -> None:
    browser, address, provider = site
    page = browser.new_context(viewport={"width": 390, "height": 780}).new_page()
    kept, provider.user = provider.user, provider.user | {"sub": "another", "groups": []}
    try:
        page.goto(f"{address}/login", wait_until="networkidle")
        page.get_by_role("link", name="Log in with Example").click()
        page.wait_for_url("**/login/back?*")
    finally:
        provider.user = kept
    assert "Example knows you, but gives you no role here" in page.locator("main").inner_text()
    look(page, 390, tmp_path / "refused.png")
    page.get_by_role("link", name="Log in").click()
    page.wait_for_url("**/login")


def look(page: Any, width_px: int, picture: Path) -> None:
    """See that a page is not wider than the window and can be used by everybody; keep a picture of it."""
    page.screenshot(path=picture)
    insist_on_whole(page, width_px, told=picture.stem)
