"""The tags that each span of a story must have in each convention, as Jaeger, Kiali and OpenTelemetry read them.

A tag's value is given, or only its type if the run decides it (an offset). Further tags are allowed, but none of the
other convention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from examples.harness.places import Database

    Tags = Mapping[str, Any]


class Places(NamedTuple):
    """The addresses that the tags must name. `urls`: service -> base URL. `kafka`: bootstrap servers."""

    urls: Mapping[str, str]
    kafka: str
    database: Database | None = None


class Expected(NamedTuple):
    """One span's tags by convention. A value that is a type stands for any value of it that says something."""

    opentracing: Tags
    otel: Tags

    def of(self, convention: str) -> Tags:
        if convention == "both":
            return {**self.opentracing, **self.otel}
        return self.otel if convention == "otel" else self.opentracing

    def absent(self, convention: str) -> list[str]:
        """Keys that only the other convention has."""
        mine = self.of(convention)
        return [key for key in (*self.opentracing, *self.otel) if key not in mine]


def client(places: Places, callee: str, path: str, method: str = "GET", status: int = 200) -> Expected:
    """`method` `path` of the service `callee`."""
    url = places.urls[callee] + path
    host, port = urlsplit(url).hostname or "", urlsplit(url).port
    peer = _peer(host, port)
    return Expected(
        {"span.kind": "client", "component": "requests", **_http(url, method, status), **peer.opentracing},
        {"span.kind": "client", "url.full": url, **_answered(method, status), **peer.otel},
    )


def server(places: Places, service: str, path: str, method: str = "GET", status: int = 200) -> Expected:
    url = places.urls[service] + path
    parts = urlsplit(url)
    own = {"server.address": parts.hostname, "server.port": parts.port, "url.scheme": "http", "url.path": path}
    return Expected(
        {"span.kind": "server", "component": "flask", "http.route": path, **_http(url, method, status)},
        {"span.kind": "server", "http.route": path, **_answered(method, status), **own},
    )


def statement(places: Places, text: str) -> Expected:
    """INSERT INTO the table named third in `text`."""
    database, table = places.database, text.split()[2]
    assert database is not None
    peer = _peer(database.host, database.port)
    named = {"db.instance": database.name, "db.user": database.user, "db.statement": text}
    summary = {"db.query.summary": f"INSERT {table}", "db.operation.name": "INSERT", "db.collection.name": table}
    system = {"db.system.name": "postgresql", "db.namespace": database.name, "db.query.text": text}
    return Expected(
        {"span.kind": "client", "component": "psycopg2", "db.type": "sql", **named, **peer.opentracing},
        {"span.kind": "client", **system, **summary, **peer.otel},
    )


def message(places: Places, topic: str, kind: str, both: Tags, otel: Tags, *, offset: bool = True) -> Expected:
    """A record of the topic, sent or processed.

    `both`, `otel`: further tags in both conventions, in OpenTelemetry's alone.

    `offset`: known to the client, which it is not where no acknowledgement is asked for (acks=0).
    """
    operation = {"producer": "send", "consumer": "process"}[kind]
    host, _, port = places.kafka.split(",")[0].strip().rpartition(":")
    peer = _peer(host, int(port))
    kind_tag = {"span.kind": kind}
    where = {"message_bus.destination": topic, "partition": int, **({"offset": int} if offset else {})}
    named = {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str,
        **({"messaging.kafka.offset": int} if offset else {}),
        "messaging.client.id": str,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    return Expected(
        {**kind_tag, "component": "kafka-python", **where, **both, **peer.opentracing},
        {**kind_tag, **named, **otel, **both, **peer.otel},
    )


def _http(url: str, method: str, status: int) -> Tags:
    return {"http.method": method, "http.url": url, "http.status_code": status}


def _answered(method: str, status: int) -> Tags:
    return {"http.request.method": method, "http.response.status_code": status}


def _peer(host: str, port: int | None) -> Expected:
    """The other side, as it was configured. A Unix socket (a folder for a host) has none."""
    if not host or host[0] in "/@":
        return Expected({}, {})
    shown = {"peer.service": str, "peer.hostname": host, "peer.port": port, "peer.address": f"{host}:{port}"}
    if host.replace(".", "").isdigit():
        shown["peer.ipv4"] = host
    elif ":" in host:
        shown.update({"peer.ipv6": host, "peer.address": f"[{host}]:{port}"})
    # peer.service is the one key of Jaeger's that OpenTelemetry has too
    return Expected(shown, {"peer.service": str, "server.address": host, "server.port": port})


def wrong_tags(tags: Tags, expected: Expected, convention: str) -> Iterator[str]:
    """What is wrong with `tags`, one line each."""
    missing = [key for key in expected.of(convention) if key not in tags]
    if missing:
        yield f"no tag {', '.join(missing)}"
    for key, wanted in expected.of(convention).items():
        if key in missing:
            continue
        if isinstance(wanted, type):
            if type(tags[key]) is not wanted or tags[key] == "" or tags[key] == -1:
                yield f"tag {key} is {tags[key]!r}, expected is some {wanted.__name__}"
        elif (type(tags[key]), tags[key]) != (type(wanted), wanted):
            yield f"tag {key} is {tags[key]!r}, expected is {wanted!r}"
    for key in expected.absent(convention):
        if key in tags:
            yield f"tag {key} is there, which is not of the convention {convention}"
    if "http.method" not in expected.opentracing:  # Kiali draws no broker and no database for a span that has one
        yield from (f"tag {key} is there, on a span that is not HTTP" for key in tags if key.startswith("http."))
