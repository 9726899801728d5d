"""A program: SQLAlchemy on one URL. `python -m tests.end_to_end.sqlalchemy_story URL`; `?async=1`: the async engine."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, orm, pool
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.util import greenlet_spawn

from tests.end_to_end.scenarios import begin, end, refused, scenario, told
from tests.end_to_end.sqlalchemy_scenarios import SCENARIOS, Base, Customer, Order, customers

# Ways that need an engine of their own.


def a_pool(engine: Engine) -> Any:
    """pre_ping after the server has cut the connection, a pool that is used up, connections of threads."""
    small = sa.create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01, pool_pre_ping=True)
    listen(small)
    with small.connect() as conn:
        (own,) = conn.execute(sa.text("select pg_backend_pid()" if pg(engine) else "select connection_id()")).one()
        try:
            small.connect()
        except sa.exc.TimeoutError as error:
            full = refused(error)
    with engine.connect() as other:
        other.execute(sa.text("select pg_terminate_backend(:own, 2000)" if pg(engine) else "kill :own"), {"own": own})
    with small.connect() as conn:
        alive = conn.execute(sa.text("select 'alive'")).scalar()
    small.dispose()
    return full, alive, small.pool.status()


def pg(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def no_pool(engine: Engine) -> Any:
    bare = sa.create_engine(engine.url, poolclass=pool.NullPool)
    with bare.connect() as conn:
        found = type(conn.connection.driver_connection).__qualname__
    told.append("connect")  # one that fails has a span
    try:
        sa.create_engine(engine.url.set(database="/no/such")).connect()
    except sa.exc.DBAPIError as error:
        return found, f"{type(error).__qualname__} {type(error.orig).__module__}.{type(error.orig).__qualname__}"


def batches(engine: Engine) -> Any:
    """psycopg2's execute_batch: one statement per page."""
    paged = sa.create_engine(engine.url, executemany_mode="values_plus_batch", executemany_batch_page_size=2)
    with paged.connect() as conn:
        update = sa.update(customers).where(customers.c.id == sa.bindparam("key")).values(name=sa.bindparam("new"))
        conn.execute(update, [{"key": -n, "new": str(n)} for n in range(1, 6)])
        one = "UPDATE customer SET name='{0}' WHERE customer.id = -{0}"
        told[-1:] = [";".join(one.format(n) for n in page) for page in ((1, 2), (3, 4), (5,))]


async def asynchronous(engine: AsyncEngine) -> Any:
    async with engine.connect() as conn:
        streamed = await conn.stream(sa.select(customers.c.name).order_by(customers.c.id).limit(3))
        names = [row.name async for row in streamed]
    async with AsyncSession(engine, expire_on_commit=False) as session:
        async with session.begin():
            session.add(Customer(name="async", orders=[Order(item="pen")]))
            await session.flush()
        wanted = sa.select(Customer).where(Customer.name == "async").options(orm.selectinload(Customer.orders))
        found = (await session.scalars(wanted)).one()
        items = [order.item for order in found.orders]

    async def one() -> Any:
        async with engine.connect() as conn:
            return (await conn.execute(sa.text("select 42"))).scalar()

    return names, items, await asyncio.gather(*(one() for _ in range(4)))


def empty(engine: Engine) -> None:
    Base.metadata.drop_all(engine)
    engine.dispose()


async def emptied(url: sa.URL) -> None:
    engine = create_async_engine(url)
    await greenlet_spawn(Base.metadata.drop_all, engine.sync_engine)
    await engine.dispose()


def listen(engine: Engine) -> None:
    @event.listens_for(engine, "before_cursor_execute", insert=True)
    def sent(conn: Connection, cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)


def main(url: str) -> None:
    parsed = sa.make_url(url)
    if parsed.query.get("async"):
        loop = asyncio.new_event_loop()
        later = create_async_engine(parsed.set(query={}))
        loop.run_until_complete(emptied(parsed.set(query={})))
        listen(later.sync_engine)
        begin()
        for run in SCENARIOS:
            awaited = partial(greenlet_spawn, run, later.sync_engine)
            scenario(run.__name__, lambda awaited=awaited: loop.run_until_complete(awaited()))  # type: ignore[misc]
        scenario("asynchronous", lambda: loop.run_until_complete(asynchronous(later)))
        loop.run_until_complete(later.dispose())
        loop.close()
        return end()
    empty(sa.create_engine(parsed))
    engine = sa.create_engine(parsed)
    listen(engine)
    begin()
    more = [no_pool] if parsed.get_backend_name() == "sqlite" else [a_pool, no_pool]
    for run in [*SCENARIOS, *more, *([batches] if parsed.get_driver_name() == "psycopg2" else [])]:
        scenario(run.__name__, partial(run, engine))
    engine.dispose()
    end()


if __name__ == "__main__":
    main(sys.argv[1])
