"""Who comes in, for how long, and what keeps others out."""

from types import SimpleNamespace

import pytest

from annotator.errors import ConfigError, LocalDiskError
from annotator.store import Store
from annotator.store.web.accounts import Role, change_password, change_role, disable_account
from annotator.store.web.attempts import take_attempt
from annotator.store.web.audit import list_deeds
from annotator.web.passwords import hash_password
from annotator.web.site import Keys
from tests.web_client import PASSWORD, WebForTests


def actions(store: Store) -> list[tuple[str, str]]:
    with store.reading() as connection:
        return [(deed.actor, deed.action) for deed in list_deeds(connection)]


def test_name_and_password_open_a_session_and_lead_to_the_page_that_was_asked_for(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.ADMIN, "eve")
    browser = web.browser()
    refused = browser.get("/record?before=7")
    assert (refused.status_code, refused.headers["location"]) == (303, "/login?next=%2Frecord%3Fbefore%3D7")
    answer = browser.post("/login", {"name": " Eve", "password": PASSWORD, "next": "/record?before=7"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/record?before=7")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "eve" in browser.get("/record?before=7").text
    assert actions(store) == [("eve", "logged in")]


@pytest.mark.parametrize("target", ["//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere", "", "//["])
def test_after_logging_in_nobody_is_led_elsewhere(store: Store, target: str) -> None:
    web = WebForTests(store)
    web.account(Role.READER, "eve")
    answer = web.browser().post("/login", {"name": "eve", "password": PASSWORD, "next": target})
    assert answer.headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_name_are_told_in_the_same_words(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.READER, "eve")
    wrong = web.browser().post("/login", {"name": "eve", "password": "wrong horse battery"})
    unknown = web.browser().post("/login", {"name": "eva", "password": "wrong horse battery"})
    assert wrong.status_code == unknown.status_code == 401
    assert "Name or password is wrong." in wrong.text
    assert "Name or password is wrong." in unknown.text
    assert actions(store) == [("eva", "failed to log in"), ("eve", "failed to log in")]


def test_after_ten_wrong_passwords_even_the_right_one_must_wait(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.READER, "eve")
    browser = web.browser()
    for _ in range(10):
        assert browser.post("/login", {"name": "eve", "password": "no"}).status_code == 401
    late = browser.post("/login", {"name": "eve", "password": PASSWORD})
    assert late.status_code == 429
    assert late.headers["retry-after"] == "900"
    web.clock.turn(minutes=15, seconds=1)
    assert browser.post("/login", {"name": "eve", "password": PASSWORD}).status_code == 303


def test_guessing_from_one_address_shuts_nobody_else_out(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.ADMIN, "eve")
    stranger = web.browser(address="192.0.2.66")
    answers = [stranger.post("/login", {"name": "eve", "password": "no"}).status_code for _ in range(12)]
    assert answers == [401] * 10 + [429] * 2
    assert web.browser().post("/login", {"name": "eve", "password": PASSWORD}).status_code == 303


def test_all_addresses_that_one_machine_has_in_ipv6_are_one(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.READER, "eve")
    with store.writing() as connection:
        for number in range(50):
            assert take_attempt(connection, f"somebody-{number}", f"2001:db8::{number:x}", now=web.clock()) is None
    late = {"name": "somebody-else", "password": "no"}
    assert web.browser(address="2001:db8::ffff:1").post("/login", late).status_code == 429
    assert web.browser(address="2001:db8:0:1::1").post("/login", late).status_code == 401


def test_what_is_typed_as_a_name_cannot_turn_the_record_round(sqlite_store: Store) -> None:
    web = WebForTests(sqlite_store)
    web.account(Role.READER, "eve")
    web.browser().post("/login", {"name": "\u202ennima\u2066\n", "password": "no"})
    with sqlite_store.reading() as connection:
        assert [deed.actor for deed in list_deeds(connection)] == ["nnima"]


def guess_from_everywhere(web: WebForTests, name: str) -> None:
    """Use up all that is taken from strangers for an account, as many machines would."""
    with web.site.store.writing() as connection:
        for number in range(100):
            assert take_attempt(connection, name, f"198.51.100.{number // 5}", now=web.clock()) is None


def test_while_many_addresses_guess_an_account_gets_in_with_a_browser_that_it_is_known_by(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.ADMIN, "eve")
    known = web.browser()
    assert known.post("/login", {"name": "eve", "password": PASSWORD}).status_code == 303
    known.post("/logout")
    guess_from_everywhere(web, "eve")
    assert web.browser().post("/login", {"name": "eve", "password": PASSWORD}).status_code == 429
    assert known.post("/login", {"name": "eve", "password": PASSWORD}).status_code == 303
    known.post("/logout")
    answers = [known.post("/login", {"name": "eve", "password": "no"}).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]
    web.clock.turn(minutes=15, seconds=1)
    assert web.browser().post("/login", {"name": "eve", "password": PASSWORD}).status_code == 303


def test_a_browser_is_known_to_its_account_until_the_password_changes_and_cannot_be_made_up(
    sqlite_store: Store,
) -> None:
    web = WebForTests(sqlite_store)
    for name in ("eve", "bob"):
        web.account(Role.READER, name)
    browser = web.browser()
    browser.post("/login", {"name": "eve", "password": PASSWORD})
    cookie = browser.client.cookies["annotator_device"]
    browser.post("/logout")
    guess_from_everywhere(web, "eve")
    guess_from_everywhere(web, "bob")
    device, _, mark = cookie.partition(".")
    for made_up in (f"{device}.{'0' * 64}", f"{'x' * 22}.{mark}", f"{device}.", "", "x" * 5000):
        other = web.browser()
        other.client.cookies.set("annotator_device", made_up)
        assert other.post("/login", {"name": "eve", "password": PASSWORD}).status_code == 429
    assert browser.post("/login", {"name": "bob", "password": PASSWORD}).status_code == 429
    with sqlite_store.writing() as connection:
        change_password(connection, "eve", hash_password("another horse"))
    assert browser.post("/login", {"name": "eve", "password": "another horse"}).status_code == 429


def test_the_right_password_clears_what_was_typed_wrong_before(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.READER, "eve")
    for _ in range(3):
        browser = web.browser()
        for _ in range(9):
            assert browser.post("/login", {"name": "eve", "password": "no"}).status_code == 401
        assert browser.post("/login", {"name": "eve", "password": PASSWORD}).status_code == 303


def test_one_address_may_not_try_one_account_after_the_other(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.READER)
    browser = web.browser()
    token = browser.csrf()
    answers = [
        browser.post("/login", {"name": f"name{number}", "password": "no"}, token=token).status_code
        for number in range(51)
    ]
    assert answers == [401] * 50 + [429]


def test_a_form_without_the_token_of_its_session_is_refused(store: Store) -> None:
    web = WebForTests(store)
    browser = web.browser(Role.ADMIN)
    other = web.browser(Role.READER)
    assert browser.post("/logout", token=other.csrf()).status_code == 403
    assert browser.post("/logout", token="").status_code == 403
    assert browser.get("/").status_code == 200
    assert browser.post("/logout").status_code == 303
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    "headers", [{"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
)
def test_a_form_that_a_page_from_elsewhere_sends_is_refused(store: Store, headers: dict[str, str]) -> None:
    browser = WebForTests(store).browser(Role.ADMIN)
    assert browser.post("/logout", headers=headers).status_code == 403
    assert browser.get("/").status_code == 200


def test_a_session_ends_when_it_rests_and_at_the_latest_after_its_time(store: Store) -> None:
    web = WebForTests(store, session_hours=3, idle_minutes=60)
    browser = web.browser(Role.READER)
    for _ in range(3):
        web.clock.turn(minutes=55)
        assert browser.get("/").status_code == 200
    web.clock.turn(minutes=20)
    assert browser.get("/").status_code == 303
    resting = WebForTests(store, session_hours=3, idle_minutes=60)
    other = resting.browser(Role.REVIEWER)
    resting.clock.turn(minutes=61)
    assert other.get("/").status_code == 303


def test_disabling_an_account_and_lowering_its_role_hold_at_once(store: Store) -> None:
    web = WebForTests(store)
    browser = web.browser(Role.ADMIN)
    assert browser.get("/record").status_code == 200
    with store.writing() as connection:
        change_role(connection, "admin-person", Role.READER)
    assert browser.get("/record").status_code == 403
    with store.writing() as connection:
        disable_account(connection, "admin-person")
    assert browser.get("/").status_code == 303


def test_a_changed_password_logs_out_everywhere_and_only_the_new_one_works(store: Store) -> None:
    web = WebForTests(store)
    account = web.account(Role.READER, "eve")
    here, there = web.browser(), web.browser()
    here.log_in_as(account)
    there.log_in_as(account)
    assert here.post("/account/password", {"password": "no", "new_password": "another horse"}).status_code == 400
    assert "12 to 1024" in here.post("/account/password", {"password": PASSWORD, "new_password": "short"}).text
    answer = here.post("/account/password", {"password": PASSWORD, "new_password": "another horse"})
    assert answer.status_code == 303
    assert there.get("/").status_code == 303
    assert web.browser().post("/login", {"name": "eve", "password": PASSWORD}).status_code == 401
    assert web.browser().post("/login", {"name": "eve", "password": "another horse"}).status_code == 303


def test_while_many_addresses_guess_the_owner_changes_the_password_and_gets_in_with_it(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.READER, "eve")
    owner = web.browser()
    owner.post("/login", {"name": "eve", "password": PASSWORD})
    guess_from_everywhere(web, "eve")
    changed = {"password": PASSWORD, "new_password": "another horse"}
    assert owner.post("/account/password", changed).headers["location"] == "/login"
    assert owner.post("/login", {"name": "eve", "password": "another horse"}).status_code == 303
    assert owner.get("/").status_code == 200


def test_a_wrong_present_password_is_on_record_and_the_eleventh_waits(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.READER, "eve")
    browser = web.browser()
    browser.post("/login", {"name": "eve", "password": PASSWORD})
    short = {"password": PASSWORD, "new_password": "short"}
    tried = [browser.post("/account/password", short).status_code for _ in range(12)]  # the present one is right
    wrong = {"password": "no", "new_password": "another horse"}
    tried += [browser.post("/account/password", wrong).status_code for _ in range(11)]
    assert tried == [400] * 22 + [429]
    assert actions(store) == [("eve", "failed to change the password")] * 10 + [("eve", "logged in")]


def test_without_accounts_the_printed_key_opens_once_and_another_one_is_told(store: Store) -> None:
    web = WebForTests(store)
    web.site.keys.renew()
    browser, late = web.browser(), web.browser()
    assert browser.get("/enter?key=wrong").status_code == 403
    assert browser.get(f"/enter?key={web.told[0]}").headers["location"] == "/"
    assert browser.get("/record").status_code == 200
    assert late.get(f"/enter?key={web.told[0]}").status_code == 403
    assert len(web.told) == 2
    assert late.get(f"/enter?key={web.told[1]}").status_code == 303
    assert actions(store)[0] == ("this machine", "entered with the key")


def test_a_form_of_an_address_that_is_not_the_public_one_is_refused_with_the_setting_to_change(store: Store) -> None:
    WebForTests(store).account(Role.ADMIN, "eve")
    web = WebForTests(store, public_url="http://127.0.0.1:8765")
    browser, form = web.browser(host="127.0.0.1:9000"), {"name": "eve", "password": PASSWORD}
    headers = {"origin": "http://127.0.0.1:9000", "sec-fetch-site": "same-origin"}
    refused = browser.post("/login", form, headers=headers)
    assert refused.status_code == 403
    assert "http://127.0.0.1:8765" in refused.text
    assert "ANNOTATOR_WEB__PUBLIC_URL" in refused.text
    assert browser.post("/login", form, headers={"origin": "http://127.0.0.1:8765"}).status_code == 303


def test_a_key_stays_good_while_the_next_one_cannot_be_told() -> None:
    told: list[str] = []
    disk = SimpleNamespace(is_full=False)

    def tell(key: str) -> None:
        if disk.is_full:
            raise LocalDiskError("web.address cannot be written (No space left on device): make room.")
        told.append(key)

    keys = Keys(tell)
    keys.renew()
    disk.is_full = True
    with pytest.raises(LocalDiskError):
        keys.spend(told[0])
    disk.is_full = False
    assert keys.spend(told[0])
    assert not keys.spend(told[0])
    assert keys.spend(told[1])


def test_the_first_account_shuts_out_who_came_with_the_key(store: Store) -> None:
    web = WebForTests(store)
    web.site.keys.renew()
    browser = web.browser()
    browser.get(f"/enter?key={web.told[0]}")
    web.account(Role.READER)
    assert browser.get("/").status_code == 303
    assert browser.get(f"/enter?key={web.told[1]}").headers["location"] == "/login"


@pytest.mark.parametrize("web", [{"host": "0.0.0.0"}, {"host": "192.0.2.1"}, {"public_url": "https://faces.example"}])
def test_an_address_that_others_reach_is_refused_without_accounts(store: Store, web: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="annotator web users add NAME --role admin"):
        WebForTests(store, **web)
    WebForTests(store).account(Role.READER)
    WebForTests(store, **web)


def test_a_page_of_another_host_reaches_nothing_under_its_own_name(store: Store) -> None:
    web = WebForTests(store)
    assert web.browser(host="rebound.example:8765").get("/healthz").status_code == 421
    for host in ("localhost:8765", "127.0.0.1:8765", "[::1]:8765"):
        assert web.browser(host=host).get("/healthz").status_code == 200


@pytest.mark.parametrize("listening", ["127.0.0.1", "0.0.0.0"])
def test_behind_a_proxy_its_name_and_those_of_this_machine_are_answered_and_no_others(
    store: Store, listening: str
) -> None:
    WebForTests(store).account(Role.READER)
    web = WebForTests(store, host=listening, public_url="https://faces.example")
    answers = {
        host: web.browser(host=host).get("/healthz").status_code
        for host in ("faces.example", "127.0.0.1:8765", "rebound.example")
    }
    assert answers == {"faces.example": 200, "127.0.0.1:8765": 200, "rebound.example": 421}


def test_behind_https_the_cookie_is_for_https_alone(store: Store) -> None:
    WebForTests(store).account(Role.READER, "eve")
    web = WebForTests(store, public_url="https://faces.example")
    browser = web.browser(host="faces.example")
    cookie = browser.get("/login").headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie
    assert "Strict-Transport-Security" in browser.get("/login").headers


def test_a_form_that_is_too_long_is_not_read(store: Store) -> None:
    browser = WebForTests(store).browser()
    assert browser.client.post("/login", data={"name": "x" * 300_000}).status_code == 413
