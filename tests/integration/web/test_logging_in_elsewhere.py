"""Logging in at an identity provider: who comes in, as what, and what is refused."""

import base64
import hmac
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import Response
from joserfc import jwk, jwt

from annotator.cli import run_command
from annotator.cli.web import _elsewhere_of
from annotator.errors import ConfigError
from annotator.settings import explain_settings, load_settings
from annotator.store import Store
from annotator.store.web.accounts import Role, disable_account, known_account
from annotator.store.web.audit import list_deeds
from annotator.store.web.tokens import add_token
from annotator.web.oidc.entrance import Elsewhere
from annotator.web.rates import Rates
from tests.oidc_provider import CLIENT_ID, SECRET, Claims, ProviderForTests, new_key, oidc_provider
from tests.tls import make_authority, tls_proxy
from tests.web_client import PASSWORD, Browser, WebForTests

ROLES = "chiefs=admin,staff=reader"
Spoil = Callable[[ProviderForTests], None]


@pytest.fixture
def provider() -> Iterator[ProviderForTests]:
    with oidc_provider() as running:
        yield running


def web_for(store: Store, provider: ProviderForTests, **oidc: Any) -> WebForTests:
    chosen = {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": SECRET, "roles": ROLES} | oidc
    web = WebForTests(store, oidc=chosen)
    provider.now_s = lambda: web.clock().timestamp()
    return web


def log_in(browser: Browser, provider: ProviderForTests, *, target: str = "/people") -> Response:
    """Go there and come back, as a browser does."""
    sent = browser.get(f"/login/elsewhere?next={target}")
    assert sent.status_code == 303, sent.text
    return browser.get(provider.sent_to(sent.headers["location"]), headers={"sec-fetch-site": "cross-site"})


def role_of(store: Store, name: str) -> Role:
    with store.reading() as connection:
        return known_account(connection, name).role


def test_the_first_login_makes_an_account_with_the_role_of_the_claim_and_leads_to_the_page_that_was_asked_for(
    store: Store, provider: ProviderForTests
) -> None:
    browser = web_for(store, provider).browser()
    page = browser.get("/login?next=/people").text
    assert "/login/elsewhere?next=/people" in page
    assert "Log in with 127.0.0.1" in page
    answer = log_in(browser, provider)
    assert (answer.status_code, answer.headers["location"]) == (303, "/people")
    assert "Role: reader" in browser.get("/account").text
    assert "You log in at" in browser.get("/account").text
    with store.reading() as connection:
        deeds = [(deed.actor, deed.action) for deed in list_deeds(connection)]
    assert deeds == [("eve", "logged in"), ("eve", "got an account")]
    assert "client_secret" not in provider.posted[0]


def test_the_list_of_accounts_says_who_logs_in_where(
    make_database: Callable[..., str], provider: ProviderForTests, capsys: pytest.CaptureFixture[str]
) -> None:
    url = make_database("sqlite")
    with Store.open(url) as store:
        web = web_for(store, provider)
        web.account(Role.ADMIN, "bob")
        log_in(web.browser(), provider)
    assert run_command(["web", "users", "list", "--json", "--database", url]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["name"]: one["issuer"] for one in told} == {"bob": None, "eve": provider.issuer}


def test_the_role_follows_the_claim_and_with_the_last_one_sessions_and_tokens_end(
    store: Store, provider: ProviderForTests
) -> None:
    web = web_for(store, provider)
    browser = web.browser()
    log_in(browser, provider)
    provider.user["groups"] = ["nobody", "chiefs", "staff"]
    provider.user["preferred_username"] = "Eve Other"
    assert log_in(web.browser(), provider).status_code == 303
    assert role_of(store, "eve") is Role.ADMIN
    assert browser.get("/record").status_code == 200
    with store.writing() as connection:
        token = add_token(connection, "eve", role=Role.READER, purpose="x", now=web.clock(), lasts=None)
    asks = {"Authorization": f"Bearer {token}"}
    assert web.browser().get("/api/v1/people", headers=asks).status_code == 200
    provider.user["groups"] = "nobody"
    refused = log_in(web.browser(), provider)
    assert refused.status_code == 403
    assert "no role here" in refused.text
    assert browser.get("/record").status_code == 303
    assert web.browser().get("/api/v1/people", headers=asks).status_code == 401


@pytest.mark.parametrize("groups", [[], "unknown", None, 7, ["admin"], {"staff": True}])
def test_whoever_has_no_role_by_the_claim_gets_no_account(
    store: Store, provider: ProviderForTests, groups: object
) -> None:
    provider.user["groups"] = groups
    browser = web_for(store, provider).browser()
    assert log_in(browser, provider).status_code == 403
    assert browser.get("/").status_code == 303
    with store.reading() as connection, pytest.raises(Exception, match="no account eve"):
        known_account(connection, "eve")


@pytest.mark.parametrize(("verified", "status"), [(True, 303), (False, 403), (None, 403), ("true", 403)])
def test_an_address_gives_a_role_only_where_the_provider_has_verified_it(
    sqlite_store: Store, provider: ProviderForTests, verified: object, status: int
) -> None:
    provider.user = {"sub": "7a1", "preferred_username": "no name", "email": "eve@example.org"}
    if verified is not None:
        provider.user["email_verified"] = verified
    web = web_for(sqlite_store, provider, role_claim="email", roles="eve@example.org=admin")
    assert log_in(web.browser(), provider).status_code == status
    if status == 303:
        assert role_of(sqlite_store, "eve@example.org") is Role.ADMIN


def test_a_disabled_account_stays_out(store: Store, provider: ProviderForTests) -> None:
    web = web_for(store, provider)
    log_in(web.browser(), provider)
    with store.writing() as connection:
        disable_account(connection, "eve")
    late = web.browser()
    assert log_in(late, provider).status_code == 403
    assert late.get("/").status_code == 303


def test_a_name_that_somebody_else_has_is_refused_and_passwords_go_on(store: Store, provider: ProviderForTests) -> None:
    web = web_for(store, provider)
    web.account(Role.ADMIN, "eve")
    taken = log_in(web.browser(), provider)
    assert taken.status_code == 409
    assert "there is an account eve already" in taken.text
    browser = web.browser()
    assert browser.post("/login", {"name": "eve", "password": PASSWORD}).status_code == 303
    assert browser.get("/record").status_code == 200


def test_two_people_of_one_name_at_the_provider_are_two(store: Store, provider: ProviderForTests) -> None:
    web = web_for(store, provider)
    log_in(web.browser(), provider)
    provider.user["sub"] = "another"
    assert log_in(web.browser(), provider).status_code == 409


def signed_by_a_stranger(provider: ProviderForTests) -> None:
    provider.sign = lambda claims: provider.signed(claims, key=new_key("first"))


def signed_with_the_public_key_as_a_secret(provider: ProviderForTests) -> None:
    known_to_all = provider.keys[0].as_pem(private=False)

    def sign(claims: Claims) -> str:
        signed = f"{of_json({'alg': 'HS256', 'kid': 'first'})}.{of_json(claims)}"
        return f"{signed}.{of_bytes(hmac.digest(known_to_all, signed.encode(), 'sha256'))}"

    provider.sign = sign


def not_signed(provider: ProviderForTests) -> None:
    provider.sign = lambda claims: f"{of_json({'alg': 'none', 'kid': 'first'})}.{of_json(claims)}."


def of_json(value: object) -> str:
    return of_bytes(json.dumps(value).encode())


def of_bytes(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def with_claims(**changes: object) -> Spoil:
    def spoil(provider: ProviderForTests) -> None:
        def sign(claims: Claims) -> str:
            changed = {name: value(claims) if callable(value) else value for name, value in changes.items()}
            kept = {name: value for name, value in (claims | changed).items() if value is not None}
            return provider.signed(kept)

        provider.sign = sign

    return spoil


SPOILT: dict[str, Spoil] = {
    "another key": signed_by_a_stranger,
    "a secret instead of a key": signed_with_the_public_key_as_a_secret,
    "no signature": not_signed,
    "no token": lambda provider: setattr(provider, "sign", lambda _: "not.a.token"),
    "a long token": with_claims(padding="x" * 70_000),
    "another issuer": with_claims(iss="https://elsewhere.example"),
    "another audience": with_claims(aud="another"),
    "no audience": with_claims(aud=None),
    "one audience, given to another": with_claims(azp="another"),
    "several audiences, given to another": with_claims(aud=[CLIENT_ID, "another"], azp="another"),
    "several audiences, given to nobody": with_claims(aud=[CLIENT_ID, "another"]),
    "another nonce": with_claims(nonce="another"),
    "no nonce": with_claims(nonce=None),
    "expired": with_claims(exp=lambda claims: claims["iat"] - 61),
    "never expires": with_claims(exp=None),
    "of no time": with_claims(iat=None),
    "of a time that is no number": with_claims(iat=True),
    "of tomorrow": with_claims(iat=lambda claims: claims["iat"] + 86_400),
    "not yet": with_claims(nbf=lambda claims: claims["iat"] + 600),
    "of nobody": with_claims(sub=""),
    "of nobody that can be seen": with_claims(sub="7a1\u200b"),
    "of somebody with an endless number": with_claims(sub="7" * 256),
    "a number as time": with_claims(exp="tomorrow"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_token_is_refused_that_is(sqlite_store: Store, provider: ProviderForTests, spoil: Spoil) -> None:
    web = web_for(sqlite_store, provider)
    spoil(provider)
    browser = web.browser()
    answer = log_in(browser, provider)
    assert answer.status_code == 401
    assert "is refused" in answer.text
    assert browser.get("/").status_code == 303
    with sqlite_store.reading() as connection:
        assert [(deed.actor, deed.action) for deed in list_deeds(connection)] == [("nobody", "failed to log in")]


def test_a_key_that_the_provider_has_withdrawn_signs_for_an_hour_at_most(
    sqlite_store: Store, provider: ProviderForTests
) -> None:
    web = web_for(sqlite_store, provider)
    clock_s = [1000.0]
    assert web.site.elsewhere is not None
    web.site.elsewhere._provider._clock_s = lambda: clock_s[0]
    withdrawn = provider.keys[0]
    assert log_in(web.browser(), provider).status_code == 303
    provider.keys = [new_key("second")]
    provider.sign = lambda claims: provider.signed(claims, key=withdrawn)
    clock_s[0] += 3601
    assert log_in(web.browser(), provider).status_code == 401


def test_a_provider_that_leads_elsewhere_is_not_followed(sqlite_store: Store, provider: ProviderForTests) -> None:
    provider.moved = {"/realm/keys": "/other-keys"}
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 503
    assert "/realm/other-keys" not in provider.asked


def test_a_provider_that_says_who_answers_must_say_so(sqlite_store: Store, provider: ProviderForTests) -> None:
    provider.says = {"authorization_response_iss_parameter_supported": True}
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 401
    assert provider.posted == []


def test_what_only_we_can_show_goes_along_with_no_address(sqlite_store: Store, provider: ProviderForTests) -> None:
    browser = web_for(sqlite_store, provider).browser()
    sent = browser.get("/login/elsewhere").headers["location"]
    assert browser.get(provider.sent_to(sent)).status_code == 303
    query = {name: values[0] for name, values in parse_qs(urlsplit(sent).query).items()}
    assert provider.posted[0]["code_verifier"] not in sent
    assert query["nonce"] not in query["state"]


@pytest.mark.parametrize("more", ["&error=x", "x" * 5000], ids=["a code and an error", "a code without end"])
def test_a_code_that_cannot_be_is_not_exchanged(sqlite_store: Store, provider: ProviderForTests, more: str) -> None:
    browser = web_for(sqlite_store, provider).browser()
    path, _, rest = provider.sent_to(browser.get("/login/elsewhere").headers["location"]).partition("&")
    assert browser.get(f"{path}{more}&{rest}").status_code == 401
    assert provider.posted == []


def test_a_page_without_end_is_forgotten_on_the_way(sqlite_store: Store, provider: ProviderForTests) -> None:
    answer = log_in(web_for(sqlite_store, provider).browser(), provider, target=f"/people?q={'x' * 1000}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_nobody_comes_back_without_end(sqlite_store: Store, provider: ProviderForTests) -> None:
    web = web_for(sqlite_store, provider)
    web.replace(rates=Rates(per_minute=1e-6, at_once=3))
    browser = web.browser()
    assert [browser.get("/login/back").status_code for _ in range(4)] == [403, 403, 403, 429]


def test_keys_that_do_not_sign_are_no_keys(sqlite_store: Store, provider: ProviderForTests) -> None:
    own = provider.keys.pop()
    provider.sign = lambda claims: provider.signed(claims, key=own)
    provider.strange_keys = [own.as_dict(private=False) | {"use": "enc"}]
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 401
    provider.strange_keys = [own.as_dict(private=False)]
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 303


def test_of_very_many_keys_the_first_are_looked_at(sqlite_store: Store, provider: ProviderForTests) -> None:
    provider.strange_keys *= 50
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 401


def test_a_key_signs_as_its_kind_does(sqlite_store: Store, provider: ProviderForTests) -> None:
    """Without a name, the one that fits is taken: there is one of each kind."""
    curve, rsa = jwk.ECKey.generate_key("P-256", private=True), provider.keys[0]
    provider.strange_keys = [curve.as_dict(private=False)]
    for key, algorithm in ((curve, "ES256"), (rsa, "RS256")):
        provider.sign = lambda claims, key=key, name=algorithm: jwt.encode(  # type: ignore[misc]
            {"alg": name}, claims, key, algorithms=[name]
        )
        assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 303


def test_answers_that_are_refused_do_not_fill_the_record(sqlite_store: Store, provider: ProviderForTests) -> None:
    web = web_for(sqlite_store, provider)
    browser = web.browser()
    state = parse_qs(urlsplit(browser.get("/login/elsewhere").headers["location"]).query)["state"][0]
    for _ in range(20):
        assert browser.get(f"/login/back?error=x&state={state}").status_code == 401
    with sqlite_store.reading() as connection:
        assert len(list_deeds(connection)) == 10
    assert log_in(browser, provider).status_code == 303, "whoever is let in comes in"


@pytest.mark.parametrize(
    "spoil",
    [with_claims(aud=[CLIENT_ID, "another"], azp=CLIENT_ID), with_claims(exp=lambda claims: claims["iat"] - 30)],
    ids=["several audiences, given to us", "expired within what clocks differ"],
)
def test_a_token_is_taken_that_is(sqlite_store: Store, provider: ProviderForTests, spoil: Spoil) -> None:
    web = web_for(sqlite_store, provider)
    spoil(provider)
    assert log_in(web.browser(), provider).status_code == 303


def test_a_token_may_leave_out_its_key_where_there_is_one_only(sqlite_store: Store, provider: ProviderForTests) -> None:
    key = provider.keys[0]
    provider.sign = lambda claims: jwt.encode({"alg": "PS256"}, claims, key, algorithms=["PS256"])
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 303
    provider.keys.append(new_key("second"))
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 401


def test_an_answer_is_for_the_browser_that_asked_for_ten_minutes_and_once(
    sqlite_store: Store, provider: ProviderForTests
) -> None:
    web = web_for(sqlite_store, provider)
    asking, other = web.browser(), web.browser()
    other.get("/login")
    back = provider.sent_to(asking.get("/login/elsewhere").headers["location"])
    assert other.get(back).status_code == 403
    assert web.browser().get(back).status_code == 403
    changed = back.replace("state=", "state=1")
    assert asking.get(changed).status_code == 403
    assert asking.get("/login/back?code=x").status_code == 403
    assert provider.posted == []
    web.clock.turn(minutes=11)
    assert asking.get(back).status_code == 403
    web.clock.turn(minutes=-11)
    assert asking.get(back).status_code == 303
    assert asking.get(back).status_code == 403
    assert len(provider.posted) == 1


@pytest.mark.parametrize("target", ["//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere", "x"])
def test_after_logging_in_elsewhere_nobody_is_led_astray(
    sqlite_store: Store, provider: ProviderForTests, target: str
) -> None:
    web = web_for(sqlite_store, provider)
    assert log_in(web.browser(), provider, target=target).headers["location"] == "/"


def test_whoever_does_not_want_to_log_in_there_may_do_it_here(sqlite_store: Store, provider: ProviderForTests) -> None:
    provider.denies = True
    answer = log_in(web_for(sqlite_store, provider).browser(), provider)
    assert answer.status_code == 401
    assert "did not let you in" in answer.text


@pytest.mark.parametrize(("named", "status"), [("https://elsewhere.example", 401), ("", 401), (None, 303)])
def test_an_answer_that_names_another_provider_is_refused(
    sqlite_store: Store, provider: ProviderForTests, named: str | None, status: int
) -> None:
    provider.names_itself = named
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == status
    provider.names_itself = provider.issuer
    assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 303


def test_the_secret_goes_in_the_form_where_the_provider_wants_it_so_and_may_be_in_a_file(
    sqlite_store: Store, provider: ProviderForTests, tmp_path: Path
) -> None:
    provider.with_basic = False
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    web = web_for(sqlite_store, provider, client_secret=None, client_secret_file=path)
    assert log_in(web.browser(), provider).status_code == 303
    wrong = web_for(sqlite_store, provider, client_secret="wrong")  # noqa: S106
    assert log_in(wrong.browser(), provider).status_code == 503


def test_new_keys_are_fetched_when_a_token_names_them_but_not_for_each_that_names_an_unknown_one(
    sqlite_store: Store, provider: ProviderForTests
) -> None:
    web = web_for(sqlite_store, provider)
    clock_s = [1000.0]
    assert web.site.elsewhere is not None
    web.site.elsewhere._provider._clock_s = lambda: clock_s[0]
    assert log_in(web.browser(), provider).status_code == 303
    assert log_in(web.browser(), provider).status_code == 303
    assert provider.asked.count("/realm/keys") == 1
    assert provider.asked.count("/realm/.well-known/openid-configuration") == 1
    clock_s[0] += 31
    provider.keys.append(new_key("second"))
    assert log_in(web.browser(), provider).status_code == 303
    provider.sign = lambda claims: provider.signed(claims, key=new_key("made up"))
    for _ in range(3):
        assert log_in(web.browser(), provider).status_code == 401
    assert provider.asked.count("/realm/keys") == 2
    provider.sign = provider.signed
    clock_s[0] += 3601
    del provider.keys[0]
    assert log_in(web.browser(), provider).status_code == 303
    assert provider.asked.count("/realm/.well-known/openid-configuration") == 2


@pytest.mark.parametrize(
    "says",
    [
        {"issuer": "https://elsewhere.example"},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"jwks_uri": "https://user@elsewhere.example/keys"},
        {"jwks_uri": "https://elsewhere.example/keys#first"},
        {"padding": "x" * 300_000},
    ],
    ids=str,
)
def test_a_provider_that_says_odd_things_of_itself_is_not_believed(
    sqlite_store: Store, provider: ProviderForTests, says: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    provider.says = says
    answer = web_for(sqlite_store, provider).browser().get("/login/elsewhere")
    assert answer.status_code == 503
    assert "does not answer as it should" in answer.text
    assert "identity provider" in caplog.text


def test_a_provider_is_asked_by_https_and_its_certificate_is_checked(
    sqlite_store: Store, provider: ProviderForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, stranger = (make_authority(tmp_path, name) for name in ("right", "stranger"))
    with tls_proxy(right, urlsplit(provider.issuer).port or 0, is_postgres=False) as port:
        provider.issuer = f"https://127.0.0.1:{port}/realm"
        monkeypatch.setenv("SSL_CERT_FILE", str(stranger.ca_file))
        assert web_for(sqlite_store, provider).browser().get("/login/elsewhere").status_code == 503
        assert provider.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(right.ca_file))
        assert log_in(web_for(sqlite_store, provider).browser(), provider).status_code == 303


def test_a_provider_that_is_away_leaves_the_password(sqlite_store: Store) -> None:
    with oidc_provider() as gone:
        web = web_for(sqlite_store, gone)
    web.account(Role.READER, "bob")
    browser = web.browser()
    assert browser.get("/login/elsewhere").status_code == 503
    assert browser.post("/login", {"name": "bob", "password": PASSWORD}).status_code == 303


def test_with_a_provider_the_key_opens_nothing_and_no_account_is_needed_to_listen(
    sqlite_store: Store, provider: ProviderForTests
) -> None:
    web = web_for(sqlite_store, provider)
    web.site.keys.renew()
    assert web.browser().get(f"/enter?key={web.told[0]}").headers["location"] == "/login"
    oidc = {"issuer": provider.issuer, "client_id": CLIENT_ID, "roles": ROLES}
    WebForTests(sqlite_store, host="0.0.0.0", public_url="https://faces.example", oidc=oidc)
    with pytest.raises(ConfigError, match="PUBLIC_URL"):
        WebForTests(sqlite_store, host="0.0.0.0", oidc=oidc)


def test_the_way_back_is_the_public_address(sqlite_store: Store, provider: ProviderForTests) -> None:
    oidc = {"issuer": provider.issuer, "client_id": CLIENT_ID, "roles": ROLES}
    web = WebForTests(sqlite_store, public_url="https://faces.example", oidc=oidc)
    sent = web.browser(host="faces.example").get("/login/elsewhere")
    assert "redirect_uri=https%3A%2F%2Ffaces.example%2Flogin%2Fback" in sent.headers["location"]


def test_without_a_provider_there_is_no_such_way(sqlite_store: Store) -> None:
    browser = WebForTests(sqlite_store).browser()
    assert browser.get("/login/elsewhere").status_code == 404
    assert browser.get("/login/back").status_code == 404


@pytest.mark.parametrize(
    ("oidc", "said"),
    [
        ({"issuer": "https://login.example"}, "client_id and roles"),
        ({"issuer": "ftp://login.example", "client_id": "a", "roles": "x=admin"}, "pattern"),
        ({"client_secret": "a", "client_secret_file": "b"}, "not both"),
    ],
)
def test_settings_that_cannot_be_are_refused(oidc: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_settings(env_file=None, web={"oidc": oidc})


@pytest.mark.parametrize(
    ("oidc", "said"),
    [
        ({"issuer": "http://login.example", "roles": "x=admin"}, "no https address"),
        ({"issuer": "https://login.example", "roles": "x=king"}, "king is no role"),
        ({"issuer": "https://login.example", "roles": "admin"}, "VALUE=ROLE"),
        ({"issuer": "https://login.example", "roles": "x=admin", "client_secret_file": "/no/such"}, "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_before_it_listens(oidc: dict[str, str], said: str) -> None:
    settings = load_settings(env_file=None, web={"oidc": oidc | {"client_id": "a"}})
    with pytest.raises(ConfigError, match=said):
        Elsewhere(settings.web.oidc)


def test_without_the_extra_the_command_that_brings_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    oidc = {"issuer": "https://login.example", "client_id": "a", "roles": "x=admin"}
    settings = load_settings(env_file=None, web={"oidc": oidc})
    monkeypatch.setitem(sys.modules, "joserfc", None)
    monkeypatch.delitem(sys.modules, "annotator.web.oidc.entrance")
    monkeypatch.delitem(sys.modules, "annotator.web.oidc.provider")
    monkeypatch.delitem(sys.modules, "annotator.web.oidc.tokens")
    with pytest.raises(ConfigError, match=r"pip install 'celebrity-annotator\[web,oidc\]' \(joserfc is missing\)"):
        _elsewhere_of(settings)


def test_the_secret_is_never_shown() -> None:
    settings = load_settings(env_file=None, web={"oidc": {"client_secret": "hush hush"}})
    assert "hush" not in repr(settings)
    shown = {one.name: one.value for one in explain_settings(settings, env_file=None)}
    assert shown["ANNOTATOR_WEB__OIDC__CLIENT_SECRET"] == "*" * 10
