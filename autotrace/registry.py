"""The tables that a new library is entered in: which module, once imported, goes to which function of patches/."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Library -> module -> the function of autotrace/patches/<library>.py that patches this module. The module is the one
# that *defines* what is patched, so that every import path is covered. A program's own module that merely shares the
# library's name is not met.
PATCHES = {
    "opentelemetry": {"opentelemetry.trace": "provider"},
    "kafka": {"kafka.producer.kafka": "producer", "kafka.consumer.group": "consumer"},
    "confluent_kafka": {
        "confluent_kafka.cimpl": "clients",
        "confluent_kafka.deserializing_share_consumer": "share_batches",
    },
    "confluent_kafka.aio": {
        "confluent_kafka.aio._AIOConsumer": "consumer",
        "confluent_kafka.aio._AsyncDeserializingConsumer": "deserializing",
        "confluent_kafka.aio.producer._producer_batch_processor": "producer",
    },
    "aiokafka": {"aiokafka.producer.producer": "producer", "aiokafka.consumer.consumer": "consumer"},
    "requests": {"requests.sessions": "sessions"},
    "urllib3": {"urllib3.poolmanager": "pools"},
    "httpx": {"httpx._client": "clients"},
    "aiohttp": {"aiohttp.client": "sessions"},
    "http.client": {"http.client": "connections"},
    "urllib.request": {"urllib.request": "openers"},
    "psycopg2": {"psycopg2": "driver"},
    "sqlite3": {"sqlite3": "driver"},
    "psycopg": {"psycopg": "driver"},
    "asyncpg": {"asyncpg": "driver"},
    "pg8000": {
        "pg8000.core": "connections",
        "pg8000.dbapi": "cursors",
        "pg8000.legacy": "cursors",
        "pg8000.native": "native",
    },
    "aiosqlite": {"aiosqlite.core": "thread"},
    "pymysql": {"pymysql.connections": "driver"},
    "MySQLdb": {"MySQLdb.connections": "driver"},
    "mysql.connector": {"mysql.connector": "driver", "mysql.connector.aio": "asynchronous"},
    "mariadb": {"mariadb": "driver"},
    "oracledb": {"oracledb": "driver"},
    "pyodbc": {"pyodbc": "driver"},
    "duckdb": {"duckdb": "driver"},
    "flask": {"flask.app": "application"},
    "django": {
        "django.core.handlers.base": "resolving",
        "django.core.handlers.exception": "exceptions",
        "django.core.handlers.wsgi": "wsgi_handler",
        "django.core.handlers.asgi": "asgi_handler",
    },
    "starlette": {"starlette.applications": "application", "starlette.routing": "routes"},
    "fastapi": {
        "fastapi.applications": "application",
        "fastapi.routing": "routes",
        "fastapi.telemetry._asgi": "telemetry",
        "fastapi.telemetry._runtime": "configuration",
    },
    "aiohttp.web": {"aiohttp.web_protocol": "protocol", "aiohttp.web_ws": "websockets"},
    "tornado": {"tornado.web": "handlers", "tornado.routing": "routing"},
    "uvicorn": {
        "uvicorn.protocols.http.h11_impl": "protocol",
        "uvicorn.protocols.http.httptools_impl": "protocol",
        "uvicorn.protocols.http.zttp_impl": "protocol",
        "uvicorn.protocols.http.zttp_h2_impl": "protocol",
        "uvicorn.protocols.websockets.websockets_impl": "protocol",
        "uvicorn.protocols.websockets.websockets_sansio_impl": "protocol",
        "uvicorn.protocols.websockets.wsproto_impl": "protocol",
        "uvicorn.server": "server",
    },
    "hypercorn": {"hypercorn.app_wrappers": "wrappers"},
    "gunicorn": {
        "gunicorn.http.wsgi": "messages",
        "gunicorn.workers.sync": "sync",
        "gunicorn.workers.gthread": "gthread",
        "gunicorn.workers.base_async": "base_async",
        "gunicorn.asgi.protocol": "asgi_protocol",
    },
    "waitress": {"waitress.task": "tasks"},
    "uwsgi": {"uwsgi": "server"},
    "http.server": {"http.server": "handlers"},
    "wsgiref": {"wsgiref.handlers": "handlers"},
}

# Libraries that carry the context to other threads and processes; and those that change what autotrace stands on:
# gevent, time-machine. They trace nothing themselves, so that they are watched only after the first patch of PATCHES.
CARRIERS = {
    "threading": {"threading": "threads"},
    "faststream": {
        "faststream._internal.endpoint.subscriber.usecase": "subscribers",
        "faststream.broker.subscriber.usecase": "subscribers",  # before 0.6
    },
    "gevent": {"gevent.events": "patching", "gevent.greenlet": "greenlet", "gevent.threadpool": "pool"},
    "eventlet": {"eventlet.greenthread": "greenthread", "eventlet.tpool": "thread_pool"},
    "time_machine": {"time_machine": "travel"},
    "concurrent.futures": {"concurrent.futures.thread": "executors", "concurrent.futures.process": "processes"},
    "multiprocessing.pool": {"multiprocessing.pool": "pools"},
}

# The patch of a module that only AUTOTRACE_DBAPI names.
BY_INTERFACE = "autotrace.databases.any_driver:driver"

NOT_IMPORTED = "not imported"
DISABLED = "disabled by AUTOTRACE_DISABLED_PATCHES"
ON = "on"

states: dict[tuple[str, str], str] = {}
"""(library, module) -> ON, NOT_IMPORTED, DISABLED or the reason of a refusal."""


def dbapi_rows(modules: Sequence[str]) -> dict[str, dict[str, str]]:
    """Rows for the modules that AUTOTRACE_DBAPI names. A library of PATCHES keeps its own row."""
    known = {module for table in PATCHES.values() for module in table}.union(PATCHES)
    return {module: {module: BY_INTERFACE} for module in modules if module not in known}
