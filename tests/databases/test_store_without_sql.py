"""The database family serves a store without SQL: a client of the shape of redis-py, traced by the lines
that it takes.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autotrace.databases.connection_facts import ByIdentity, shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.traced_methods import StatementCall, itself, traced_method
from autotrace.patching import Plan
from autotrace.semantics.family import SharedFacts
from tests.recorded import Recorded, tags


class Redis:
    """redis-py's, without a server."""

    def __init__(self, **kwargs: Any) -> None:
        self.connection_pool = SimpleNamespace(connection_kwargs=kwargs)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "FAIL":
            raise ValueError("ERR")
        return args


def client(module: Any, plan: Plan) -> None:
    driver = Driver("redis", "redis", ByIdentity(_facts))
    # execute_command(): every command of a client ends there. One span each.
    plan.method(module.Redis, "execute_command", traced_method(driver, StatementCall(_command, itself)))


def _command(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    return {"operation": args[0]} if args else None


def _facts(client: Any) -> SharedFacts:
    to = client.connection_pool.connection_kwargs
    socket, instance = to.get("path"), str(to.get("db", 0))
    return shared_facts("redis", to.get("host"), to.get("port"), socket=socket, instance=instance, db_type="redis")


@pytest.fixture(autouse=True)
def traced() -> Any:
    plan = Plan()
    client(SimpleNamespace(Redis=Redis), plan)
    plan.apply()
    yield
    plan.undo()


def test_a_command_is_one_client_span_without_its_arguments(spans: Recorded) -> None:
    redis = Redis(host="cache", port=6379)
    assert redis.execute_command("GET", "a secret key") == ("GET", "a secret key")
    span = spans.one()
    found = tags(span)
    assert span.name == "GET"
    assert {key: found.get(key) for key in ("component", "db.type", "db.system.name", "db.operation.name")} == {
        "component": "redis",
        "db.type": "redis",
        "db.system.name": "redis",
        "db.operation.name": "GET",
    }
    assert (found["db.instance"], found["peer.address"], found["server.port"]) == ("0", "cache:6379", 6379)
    assert "db.statement" not in found and "secret" not in repr((span.facts, found))


def test_a_command_that_fails_is_a_failed_span(spans: Recorded) -> None:
    with pytest.raises(ValueError, match="ERR"):
        Redis(path="/run/redis.sock").execute_command("FAIL")
    assert spans.one().failure is not None
    assert "peer.address" not in tags(spans.one())
