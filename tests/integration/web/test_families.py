"""Other media that show the same clip: as the API and the pages tell it."""

from annotator.store import Store
from annotator.store.web.accounts import Role
from tests import web_archive
from tests.web_client import WebForTests


def test_of_a_media_it_tells_the_others_that_show_the_same_clip(store: Store) -> None:
    ids = web_archive.fill(store)
    reader = WebForTests(store).browser(Role.READER)
    assert reader.get(f"/api/v1/media/{ids['ada']}").json()["family"] is None
    number = web_archive.make_family(store, ids["both"], ids["ada"])
    assert reader.get(f"/api/v1/media/{ids['ada']}").json()["family"] == {
        "number": number,
        "size": 2,
        "representative": min(ids["both"], ids["ada"]),
        "media": [{"media_id": ids["both"], "uri": "s3://gifs/both.gif", "same_bytes": False}],
    }
