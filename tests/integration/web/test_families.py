"""Other media that show the same clip: as the API and the pages tell it."""

from sqlalchemy import insert, select

from annotator.store.tables import media
from annotator.store.web.accounts import Role
from tests import web_archive
from tests.web_archive import Archive
from tests.web_client import WebForTests


def test_of_a_media_it_tells_the_others_that_show_the_same_clip(filled: Archive) -> None:
    ids = filled.media
    reader = WebForTests(filled.store).browser(Role.READER)
    assert reader.get(f"/api/v1/media/{ids['ada']}").json()["family"] is None
    number = web_archive.make_family(filled.store, ids["both"], ids["ada"])
    assert reader.get(f"/api/v1/media/{ids['ada']}").json()["family"] == {
        "number": number,
        "size": 2,
        "representative": min(ids["both"], ids["ada"]),
        "media": [{"media_id": ids["both"], "uri": "s3://gifs/both.gif", "same_bytes": False}],
    }


def test_the_page_of_a_media_says_where_else_the_clip_is_and_who_is_named_there_alone(sqlite_filled: Archive) -> None:
    ids = sqlite_filled.media
    reader = WebForTests(sqlite_filled.store).browser(Role.READER)
    assert "other media" not in reader.get(f"/media/{ids['ada']}").text
    assert reader.get(f"/media/{ids['ada']}/family").status_code == 404
    web_archive.make_family(sqlite_filled.store, ids["both"], ids["ada"])
    page = reader.get(f"/media/{ids['ada']}").text
    line = page[page.index("Shown in 1 other media as well") :].partition("<div")[0]
    assert f'<a href="/media/{ids["both"]}">both.gif</a>' in line
    assert "same bytes" not in line
    assert "Named there, and not here" in line
    assert "Bén Brown" in line
    assert "Ada Lovelace" not in line
    page = reader.get(f"/media/{ids['both']}").text
    assert "Shown in 1 other media as well" in page
    assert "Named there" not in page


def test_a_large_family_has_a_page_of_its_own(sqlite_filled: Archive) -> None:
    ids = sqlite_filled.media
    with sqlite_filled.store.writing() as connection:
        find = select(media.c.source_id, media.c.content_id).where(media.c.id == ids["both"])
        same = connection.execute(find).one()._mapping
        connection.execute(insert(media), [dict(same) | {"key": f"copy{number}.gif"} for number in range(101)])
    reader = WebForTests(sqlite_filled.store).browser(Role.READER)
    line = (
        reader.get(f"/media/{ids['both']}").text.partition("Shown in 101 other media as well")[2].partition("</p>")[0]
    )
    assert line.count("(same bytes, same annotation)") == 4
    assert f'<a href="/media/{ids["both"]}/family">all 101</a>' in line
    page = reader.get(f"/media/{ids['both']}/family").text
    assert (page.count("<td>the same</td>"), "copy100.gif" in page, "copy0.gif" in page) == (100, True, False)
    rest = page.partition('href="?before=')[2].partition('"')[0]
    page = reader.get(f"/media/{ids['both']}/family?before={rest}").text
    assert (page.count("<td>the same</td>"), "copy0.gif" in page) == (1, True)
    assert 'rel="next"' not in page
