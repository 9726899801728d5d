"""Names and tags of each family in each convention, and what Kiali draws from these."""

from __future__ import annotations

from typing import Any

import pytest

from autotrace.semantics import database, http, messaging, peer, span_reader, url
from autotrace.semantics.family import Family, SharedFacts
from autotrace.settings import Settings

CONNECTION = {
    "component": "psycopg2",
    "type": "sql",
    "instance": "shop",
    "user": "app",
    "remote": ("db.shop.svc", 5432),
    "service": "postgresql",
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "names", {})
    monkeypatch.setattr(url, "_secrets", url.secret_names(("sig", "signature", "token", "password", "secret", "key")))


def read(family: Family, facts: dict[str, Any], convention: str) -> tuple[str, dict[str, Any]]:
    tags = family.tags(facts, convention)
    assert len(tags) == len(dict(tags)), "a key is written twice"
    return family.name(facts, convention), dict(tags)


DATABASE = {**CONNECTION, "statement": "INSERT INTO payments VALUES (%s, 'secret')", "rows": 1, "sqlstate": "23505"}
KAFKA = {
    "component": "kafka-python",
    "system": "kafka",
    "topic": "display",
    "partition": 2,
    "offset": 0,
    "key": b"k1",
    "group": "ui",
    "client": "c-1",
    "operation": "process",
    "remote": ("kafka.arena.svc", 9092),
    "service": "kafka",
}
HTTP = {
    "component": "requests",
    "method": "get",
    "url": "http://billing:8080/pay?token=x",
    "status": 200,
    "remote": ("billing", 8080),
    "service": "billing",
}


@pytest.mark.parametrize(
    ("family", "facts", "convention", "name", "expected"),
    [
        (
            database.family("postgresql"),
            DATABASE,
            "opentracing",
            "INSERT",
            {
                "component": "psycopg2",
                "db.type": "sql",
                "db.instance": "shop",
                "db.user": "app",
                "db.statement": "INSERT INTO payments VALUES (%s)",
                "db.rows_affected": 1,
                "db.sqlstate": "23505",
                "peer.hostname": "db.shop.svc",
                "peer.address": "db.shop.svc:5432",
                "peer.port": 5432,
                "peer.service": "postgresql",
            },
        ),
        (
            database.family("postgresql"),
            DATABASE,
            "otel",
            "INSERT payments",
            {
                "db.system.name": "postgresql",
                "db.namespace": "shop",
                "db.query.text": "INSERT INTO payments VALUES (%s)",
                "db.query.summary": "INSERT payments",
                "db.operation.name": "INSERT",
                "db.collection.name": "payments",
                "db.rows_affected": 1,
                "db.response.status_code": "23505",
                "server.address": "db.shop.svc",
                "server.port": 5432,
                "peer.service": "postgresql",
            },
        ),
        (
            messaging.CONSUMER,
            KAFKA,
            "opentracing",
            "From_display",
            {
                "component": "kafka-python",
                "message_bus.destination": "display",
                "partition": 2,
                "offset": 0,
                "peer.hostname": "kafka.arena.svc",
                "peer.address": "kafka.arena.svc:9092",
                "peer.port": 9092,
                "peer.service": "kafka",
            },
        ),
        (
            messaging.CONSUMER,
            KAFKA,
            "otel",
            "process display",
            {
                "messaging.system": "kafka",
                "messaging.destination.name": "display",
                "messaging.destination.partition.id": "2",
                "messaging.kafka.offset": 0,
                "messaging.kafka.message.key": "k1",
                "messaging.consumer.group.name": "ui",
                "messaging.client.id": "c-1",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "server.address": "kafka.arena.svc",
                "server.port": 9092,
                "peer.service": "kafka",
            },
        ),
        (
            http.CLIENT,
            HTTP,
            "opentracing",
            "GET",
            {
                "component": "requests",
                "http.method": "get",
                "http.url": "http://billing:8080/pay?token=REDACTED",
                "http.status_code": 200,
                "peer.hostname": "billing",
                "peer.address": "billing:8080",
                "peer.port": 8080,
                "peer.service": "billing",
            },
        ),
        (
            http.CLIENT,
            HTTP,
            "otel",
            "GET",
            {
                "http.request.method": "GET",
                "url.full": "http://billing:8080/pay?token=REDACTED",
                "http.response.status_code": 200,
                "server.address": "billing",
                "server.port": 8080,
                "peer.service": "billing",
            },
        ),
        (
            http.SERVER,
            {
                "method": "GET",
                "url": "http://shop/a/b?sig=1&x=2",
                "route": "/a/<name>",
                "status": 200,
                "caller": "10.0.0.7",
            },
            "otel",
            "GET /a/<name>",
            {
                "http.request.method": "GET",
                "url.path": "/a/b",
                "url.query": "sig=REDACTED&x=2",
                "url.scheme": "http",
                "http.route": "/a/<name>",
                "http.response.status_code": 200,
                "client.address": "10.0.0.7",
                "network.peer.address": "10.0.0.7",
            },
        ),
    ],
)
def test_a_family_in_one_convention(
    family: Family, facts: dict[str, Any], convention: str, name: str, expected: dict[str, Any]
) -> None:
    assert read(family, facts, convention) == (name, expected)


@pytest.mark.parametrize(
    ("family", "facts"),
    [(database.family("postgresql"), DATABASE), (messaging.CONSUMER, KAFKA), (http.CLIENT, HTTP)],
)
def test_both_is_the_union_and_named_as_otel(family: Family, facts: dict[str, Any]) -> None:
    name, tags = read(family, facts, "both")
    opentracing, otel = read(family, facts, "opentracing"), read(family, facts, "otel")
    assert name == otel[0]
    assert tags == {**opentracing[1], **otel[1]}


# What Kiali draws: its overlay takes a host from peer.hostname, else the part of peer.address before `:`, and looks for
# a ServiceEntry whose host begins with it; a span with an http.* tag is never a broker or a database.
def kiali_host(tags: dict[str, Any]) -> str:
    return str(tags.get("peer.hostname") or str(tags.get("peer.address", "")).partition(":")[0])


@pytest.mark.parametrize("facts", [DATABASE, KAFKA])
def test_kiali_finds_the_host_as_it_was_configured(facts: dict[str, Any]) -> None:
    family = database.family("postgresql") if "statement" in facts else messaging.PRODUCER
    _, tags = read(family, facts, "both")
    assert kiali_host(tags) == facts["remote"][0]
    assert not [key for key in tags if key.startswith("http.")]


def test_a_unix_socket_or_a_file_has_no_peer_host_at_all() -> None:
    """`:5432` or an empty host would mark the wrong node."""
    _, tags = read(database.family("postgresql"), {**CONNECTION, "remote": ("", None)}, "both")
    assert not {"peer.hostname", "peer.address", "peer.port", "server.address", "server.port"} & set(tags)


def test_a_host_without_a_port_and_an_ipv6_host_are_spelled_right() -> None:
    def address(host: str, port: int | None) -> dict[str, Any]:
        return read(messaging.PRODUCER, {"remote": (host, port)}, "opentracing")[1]

    assert address("kafka", None) == {"peer.hostname": "kafka", "peer.address": "kafka"}
    assert address("10.0.0.1", 9092)["peer.ipv4"] == "10.0.0.1"
    six = address("fe80::1", 9092)
    assert (six["peer.address"], six["peer.ipv6"]) == ("[fe80::1]:9092", "fe80::1")


def test_a_peer_gets_the_name_that_a_setting_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "names", {"10.0.0.9": "kafka.arena.svc"})
    _, tags = read(messaging.PRODUCER, {"remote": ("10.0.0.9", 9092), "service": "10.0.0.9"}, "both")
    assert (tags["peer.hostname"], tags["peer.address"]) == ("kafka.arena.svc", "kafka.arena.svc:9092")
    assert tags["peer.service"] == "kafka.arena.svc"
    assert tags["server.address"] == "10.0.0.9"


@pytest.mark.parametrize(
    ("family", "status", "convention", "failure"),
    [
        (http.CLIENT, 404, "otel", "404"),
        (http.CLIENT, 404, "both", "404"),
        (http.CLIENT, 404, "opentracing", ""),
        (http.CLIENT, 503, "opentracing", "503"),
        (http.CLIENT, 302, "otel", ""),
        (http.SERVER, 404, "otel", ""),
        (http.SERVER, 500, "otel", "500"),
        (http.SERVER, 500, "opentracing", "500"),
    ],
)
def test_which_status_is_an_error(family: Family, status: int, convention: str, failure: str) -> None:
    assert family.failure is not None
    assert family.failure({"status": status}, convention) == failure


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("http://h/p", "http://h/p"),
        ("http://user:pw@h:1/p?q=1", "http://REDACTED:REDACTED@h:1/p?q=1"),
        ("http://user@h/p", "http://REDACTED@h/p"),
        ("http://h/p?Token=abc&x=1&KEY=z", "http://h/p?Token=REDACTED&x=1&KEY=REDACTED"),
        ("http://h/p?monkey=1", "http://h/p?monkey=1"),
        ("http://h/p?sig=a%26b;x=1#frag", "http://h/p?sig=REDACTED;x=1"),
        ("http://h/a@b?x=c@d", "http://h/a@b?x=c@d"),
        ("http://[::1]:80/p?token=", "http://[::1]:80/p?token=REDACTED"),
        ("/p?token=1", "/p?token=REDACTED"),
        ("", ""),
        ("http://h/a;password=x/b;c=d?e=f", "http://h/a;password=REDACTED/b;c=d?e=f"),
        ("http://h/a;v=1;Token=x?sig=y", "http://h/a;v=1;Token=REDACTED?sig=REDACTED"),
        ("http://h/a%3Btoken%3Dx%3Bb/c", "http://h/a%3Btoken%3DREDACTED/c"),
        ("http://h/a;password=x%2Fy%3Bz", "http://h/a;password=REDACTED"),
        ("http://h/date=1/key=5", "http://h/date=1/key=REDACTED"),
        (
            "http://h/?access-token=x&accessToken=y&ACCESS_TOKEN=z",
            "http://h/?access-token=x&accessToken=y&ACCESS_TOKEN=z",
        ),
        ("http://h/?token[]=x&user[password]=y", "http://h/?token[]=REDACTED&user[password]=REDACTED"),
        ("http://h/?user%5Bpassword%5D=y&a.secret.b=z", "http://h/?user%5Bpassword%5D=REDACTED&a.secret.b=REDACTED"),
        ("http://h/?to%6ben=x", "http://h/?to%6ben=REDACTED"),
        ("http://h/?next=/a?token=x/y&z=1", "http://h/?next=/a?token=REDACTED&z=1"),
        ("http://h/?next=%2Fa%3Fb%3D1%26token%3Dx%26c&z=1", "http://h/?next=%2Fa%3Fb%3D1%26token%3DREDACTED&z=1"),
        ("http://h/?u=http://me:pw@h/&v=1", "http://h/?u=http://REDACTED@h/&v=1"),
        ("http://h/?u=http%3A%2F%2Fme%3Apw%40h%2F", "http://h/?u=http%3A%2F%2FREDACTED%40h%2F"),
        ("/p?token=a&next=http://h/?sig=b", "/p?token=REDACTED&next=http://h/?sig=REDACTED"),
        ("http://h/?tokens=1&mytoken=2&token", "http://h/?tokens=1&mytoken=2&token"),
        ("http://h/?token==a=b&=c&&", "http://h/?token=REDACTED&=c&&"),
    ],
)
def test_urls_are_shown_without_their_secrets(raw: str, shown: str) -> None:
    assert url.redacted(raw) == shown


def test_which_parameters_are_secret_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url, "_secrets", url.secret_names(("X-Goog-Signature",)))
    assert url.redacted("http://h/?x-goog-signature=1&token=2") == "http://h/?x-goog-signature=REDACTED&token=2"
    monkeypatch.setattr(url, "_secrets", url.secret_names(()))
    assert url.redacted("http://h/?token=2") == "http://h/?token=2"


@pytest.mark.parametrize(
    "name", ["access_token", "access-token", "accessToken", "AccessToken", "ACCESS.TOKEN", "access%5Ftoken"]
)
def test_a_secret_s_name_has_many_spellings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(url, "_secrets", url.secret_names(("access_token",)))
    assert url.redacted(f"http://h/?{name}=x&b=1") == f"http://h/?{name}=REDACTED&b=1"


@pytest.mark.parametrize(
    "name",
    [
        "access-token",
        "jwt",
        "code",
        "session",
        "pass",
        "jsessionid",
        "PHPSESSID",
        "apiKey",
        "X-Amz-Signature",
        "samlResponse",
    ],
)
def test_what_is_secret_by_default_shows_nowhere(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(url, "_secrets", url.secret_names(Settings({}).secret_parameters))
    raw = f"http://h/a;{name}=SECRET/b?x=1&{name}=SECRET"
    facts = {"method": "GET", "url": raw}
    for family in (http.CLIENT, http.SERVER):
        shown = dict(family.tags(facts, "both"))
        assert "SECRET" not in str(shown), shown
    assert url.path(raw) == f"/a;{name}=REDACTED/b"
    assert url.query(raw) == f"x=1&{name}=REDACTED"


@pytest.mark.parametrize("key", [b"\xff\xfe", b"x" * 65, "y" * 65, 5, None, object()])
def test_message_keys_that_are_long_or_no_text_are_left_out(key: object) -> None:
    assert messaging._key(key) is None


def test_no_name_holds_a_path_a_host_or_a_literal() -> None:
    assert http._name({"method": "GET", "url": "http://a.svc.cluster.local/users/17"}, "otel") == "GET"
    assert http._name({"method": "get /evil"}, "otel") == "HTTP"
    assert database.family("sqlite").name({"statement": "select 17"}, "otel") == "SELECT"
    assert database.family("sqlite").name({"statement": "-- nothing"}, "otel") == "sqlite"


def test_shared_facts_stand_behind_a_spans_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.trace import SpanKind

    from autotrace.tracing.span import Span

    monkeypatch.setattr(span_reader, "convention", "both")
    shared = SharedFacts(CONNECTION)
    span = Span(1, 2, 0, 1, None, SpanKind.CLIENT, database.family("postgresql"), {"statement": "select 1"}, shared)
    span.set_attribute("db.user", "the program's word")
    tags = dict(span_reader.tags(span))
    assert tags["peer.hostname"] == "db.shop.svc"
    assert tags["db.user"] == "the program's word"
    assert len(span_reader.tags(span)) == len(tags)


def test_a_shared_fact_that_a_span_has_otherwise_is_replaced_and_not_told_twice() -> None:
    client = SharedFacts({"component": "kafka-python", "operation": "process"})
    commit = client.replaced("operation", "commit")
    assert commit is client.replaced("operation", "commit") and commit is not client.replaced("operation", "receive")
    assert dict(messaging.CONSUMER.tags(commit.facts, "otel"))["messaging.operation.name"] == "commit"
    assert client.facts["operation"] == "process"
