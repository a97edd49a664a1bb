"""Wikidata, Wikimedia Commons and its pictures on one port of this machine, in the shapes of their documentation.

Shapes: https://doc.wikimedia.org/Wikibase/master/php/docs_topics_json.html (items, redirects),
https://www.wikidata.org/w/api.php?action=help&modules=wbsearchentities, …&modules=query+search,
https://www.mediawiki.org/wiki/API:Categorymembers, https://www.mediawiki.org/wiki/API:Imageinfo with ``extmetadata``
(https://commons.wikimedia.org/wiki/Commons:Machine-readable_data),
https://www.mediawiki.org/wiki/Manual:Maxlag_parameter, all with ``formatversion=2``.
"""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from trainer.collect.services import Services

Fault = Callable[["WikimediaHandler"], None]


@dataclass
class Wikimedia:
    """What the services hold, what they were asked, and what goes wrong next.

    Attributes:
        faults: ``(part of the address, what happens instead)``, each once, in order.
    """

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    structured: dict[int, dict[str, Any]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    times_s: list[float] = field(default_factory=list)
    most_at_once: int = 0
    port: int = 0
    slowness_s: float = 0.0
    page_size: int = 500

    def services(self, **changes: Any) -> Services:
        host = f"127.0.0.1:{self.port}"
        given = {
            "wikidata_api": f"http://{host}/wikidata/api.php",
            "commons_api": f"http://{host}/commons/api.php",
            "picture_hosts": frozenset({host}),
            "allow_private": True,
        }
        return Services(**(given | changes))

    def add_person(self, item_id: str, name: str, **facts: Any) -> dict[str, Any]:
        """Add a human; ``born``, ``occupation``, ``kind``, ``kg_id``, ``category``, ``picture`` and ``description``."""
        born = facts.get("born", "1970-05-06")
        claims: dict[str, list[Any]] = {"P31": [item_claim(facts.get("kind", "Q5"))]}
        if born:
            claims["P569"] = [value_claim({"time": f"+{born}T00:00:00Z", "precision": facts.get("precision", 11)})]
        if facts.get("occupation", "Q33999"):
            claims["P106"] = [item_claim(facts.get("occupation", "Q33999"))]
        if "kg_id" in facts:
            claims["P646" if facts["kg_id"].startswith("/m/") else "P2671"] = [value_claim(facts["kg_id"])]
        if "category" in facts:
            claims["P373"] = [value_claim(facts["category"])]
        if "picture" in facts:
            claims["P18"] = [value_claim(facts["picture"])]
        entity = {
            "type": "item",
            "id": item_id,
            "labels": {"en": {"language": "en", "value": name}},
            "descriptions": {"en": {"language": "en", "value": facts.get("description", "American actor")}},
            "aliases": {"en": [{"language": "en", "value": one} for one in facts.get("aliases", [])]},
            "claims": claims,
            "sitelinks": [],  # PHP writes an empty map so
        }
        self.items[item_id] = entity
        return entity

    def add_file(self, title: str, body: bytes, *categories: str, **facts: Any) -> None:
        """Add a file to categories; ``taken``, ``licence``, ``code``, ``author``, ``restrictions`` and more."""
        page_id = 1000 + len(self.files)
        told = {
            "DateTimeOriginal": facts.get("taken", "2015-03-04 12:00:00"),
            "License": facts.get("code", "cc-by-sa-4.0"),
            "LicenseShortName": facts.get("licence", "CC BY-SA 4.0"),
            "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
            "Artist": facts.get("author", '<a href="//commons.wikimedia.org/wiki/User:Jane">Jane &amp; Joe</a>'),
            "Credit": '<span class="int-own-work" lang="en">Own work</span>',
            "ImageDescription": facts.get("description", "At a festival"),
            "Restrictions": facts.get("restrictions", ""),
            "Categories": "|".join([*categories, *facts.get("more_categories", [])]),
            "AttributionRequired": "true",
        }
        name = title.removeprefix("File:")
        self.files[title] = {
            "pageid": page_id,
            "ns": 6,
            "title": title,
            "imagerepository": "local",
            "imageinfo": [
                {
                    "size": len(body),
                    "width": facts.get("width", 2000),
                    "height": facts.get("height", 3000),
                    "thumburl": facts.get(
                        "url", f"http://127.0.0.1:{self.port}/pictures/{quote(name)}/960px-{quote(name)}"
                    ),
                    "thumbwidth": 960,
                    "thumbheight": 1440,
                    "url": f"http://127.0.0.1:{self.port}/originals/{quote(name)}",
                    "descriptionurl": f"https://commons.wikimedia.org/wiki/{quote(title)}",
                    "mime": facts.get("mime", "image/jpeg"),
                    "extmetadata": {
                        key: {"value": value, "source": "commons-desc-page"} for key, value in told.items()
                    },
                }
            ],
        }
        captions = {"en": {"language": "en", "value": facts["caption"]}} if "caption" in facts else []
        self.structured[page_id] = {"type": "mediainfo", "id": f"M{page_id}", "labels": captions, "statements": []}
        self.bodies[name] = body
        for category in categories:
            self.categories.setdefault(category, []).append(title)


def value_claim(value: object, rank: str = "normal") -> dict[str, Any]:
    return {"mainsnak": {"snaktype": "value", "datavalue": {"value": value}}, "type": "statement", "rank": rank}


def item_claim(item_id: str) -> dict[str, Any]:
    return value_claim({"entity-type": "item", "numeric-id": int(item_id[1:]), "id": item_id})


class WikimediaHandler(BaseHTTPRequestHandler):
    """Answers, or does what a fault says."""

    state: Wikimedia
    lock: threading.Lock
    at_once = 0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base class)
        pass

    def do_GET(self) -> None:
        kind = type(self)
        with self.lock:
            kind.at_once += 1
            self.state.most_at_once = max(self.state.most_at_once, kind.at_once)
            self.state.asked.append(self.path)
            self.state.times_s.append(time.monotonic())
            self.state.agents.add(self.headers.get("User-Agent", ""))
            fault = next((one for one in self.state.faults if one[0] in unquote(self.path)), None)
            if fault:
                self.state.faults.remove(fault)
        time.sleep(self.state.slowness_s)
        with self.lock:  # before the answer: who has it may ask the next thing at once
            kind.at_once -= 1
        try:
            if fault:
                fault[1](self)
            else:
                self.answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/pictures/"):
            body = self.state.bodies.get(unquote(parts.path).split("/")[2])
            self.send(200 if body is not None else 404, body or b"", "image/jpeg")
        elif parts.path == "/wikidata/api.php":
            self.send_json(self.wikidata(query))
        elif parts.path == "/commons/api.php":
            self.send_json(self.commons(query))
        else:
            self.send(404, b"nothing", "text/html")

    def send(self, status: int, body: bytes, content_type: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, value: object, **headers: str) -> None:
        body = json.dumps(value).encode()
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            self.send(200, gzip.compress(body), "application/json; charset=utf-8", Content_Encoding="gzip", **headers)
        else:
            self.send(200, body, "application/json; charset=utf-8", **headers)

    def wikidata(self, query: dict[str, str]) -> object:
        if query.get("list") == "search":
            wanted = query["srsearch"].removeprefix("haswbstatement:").split("|")
            found = [one for one in self.state.items if any(self.has(one, statement) for statement in wanted)]
            return {"query": {"search": [{"ns": 0, "title": one, "pageid": 1} for one in found]}}
        if query["action"] == "wbsearchentities":
            name = query["search"].casefold()
            found = [one for one in self.state.items if any(name in known.casefold() for known in self.names(one))]
            return {"search": [{"id": one, "title": one} for one in found], "success": 1}
        entities = {}
        for asked in query["ids"].split("|"):
            item_id = self.state.merged.get(asked, asked)
            entity = self.state.items.get(item_id)
            if entity is None:
                entities[asked] = {"id": asked, "missing": True}
            elif item_id != asked:
                entities[asked] = entity | {"redirects": {"from": asked, "to": item_id}}
            else:
                entities[asked] = entity
        return {"entities": entities, "success": 1}

    def has(self, item_id: str, statement: str) -> bool:
        key, _, value = statement.partition("=")
        claims = self.state.items[item_id]["claims"].get(key, [])
        return any(one["mainsnak"]["datavalue"]["value"] == value for one in claims)

    def names(self, item_id: str) -> list[str]:
        entity = self.state.items[item_id]
        return [entity["labels"]["en"]["value"], *(one["value"] for one in entity["aliases"].get("en", []))]

    def commons(self, query: dict[str, str]) -> object:
        if query["action"] == "wbgetentities":
            numbers = [int(one[1:]) for one in query["ids"].split("|")]
            return {"entities": {f"M{one}": self.state.structured[one] for one in numbers}, "success": 1}
        if query.get("list") == "categorymembers":
            members = self.state.categories.get(query["cmtitle"].removeprefix("Category:"), [])
            start = int(query.get("cmcontinue", "0"))
            rows = [
                {"pageid": self.state.files.get(one, {}).get("pageid", 7), "ns": 6, "title": one}
                for one in members[start : start + self.state.page_size]
            ]
            following = start + self.state.page_size
            more = {"continue": {"cmcontinue": str(following), "continue": "-||"}} if following < len(members) else {}
            return {"query": {"categorymembers": rows}, **more}
        titles = query.get("titles", "").split("|")
        numbers = {int(one) for one in query.get("pageids", "0").split("|")}
        pages = [one for title, one in self.state.files.items() if title in titles or one["pageid"] in numbers]
        missing = [{"ns": 6, "title": one, "missing": True} for one in titles if one and one not in self.state.files]
        return {"batchcomplete": True, "query": {"pages": pages + missing}}


@contextmanager
def serving(state: Wikimedia) -> Iterator[Wikimedia]:
    """Serve until the end of the block."""
    handler = type("Handler", (WikimediaHandler,), {"state": state, "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answers(status: int, body: bytes = b"", content_type: str = "text/html", **headers: str) -> Fault:
    """Return a fault that answers so."""
    return lambda handler: handler.send(status, body, content_type, **headers)
