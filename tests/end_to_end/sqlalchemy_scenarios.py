"""SQLAlchemy, core and ORM, in the ways it is used: scenarios for an engine without tables, and their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.engine import Engine

from tests.end_to_end.scenarios import refused, told


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50), unique=True)
    orders: orm.Mapped[list[Order]] = orm.relationship(back_populates="customer", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    item: orm.Mapped[str] = orm.mapped_column(sa.String(50))
    customer_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("customer.id"))
    customer: orm.Mapped[Customer] = orm.relationship(back_populates="orders")


customers, orders = Customer.__table__, Order.__table__


def first_connect(engine: Engine) -> Any:
    with engine.connect() as conn:
        driver: Any = conn.connection.driver_connection
        kind, dialect = type(driver), engine.dialect
        return (
            kind.__module__,
            kind.__qualname__,
            dialect.name,
            dialect.driver,
            dialect.server_version_info,
            dialect.is_async,
        )


def tables(engine: Engine) -> Any:
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)  # now they exist
    inspector = sa.inspect(engine)
    names = [name for name in inspector.get_table_names() if name in Base.metadata.tables]
    reflected = sa.Table("orders", sa.MetaData(), autoload_with=engine)
    return sorted(names), sorted(reflected.columns.keys()), len(reflected.foreign_keys)


def core(engine: Engine) -> Any:
    with engine.begin() as conn:
        one = conn.execute(sa.insert(customers).values(name="Ada"))
        many = conn.execute(sa.insert(customers), [{"name": f"many {n}"} for n in range(3)])
        updated = conn.execute(sa.update(customers).where(customers.c.name == "Ada").values(name="Ada L."))
        bound = conn.execute(
            sa.text("select name from customer where name like :like order by name"), {"like": "many%"}
        )
        driver = conn.exec_driver_sql("select count(*) from customer").scalar_one()
        deleted = conn.execute(sa.delete(customers).where(customers.c.name == "many 2"))
        part = sa.select(customers.c.name).where(customers.c.name != "nobody").cte("part")
        rows = conn.execute(sa.select(part).order_by(part.c.name)).mappings().all()
        key = one.inserted_primary_key
        return (
            key,
            many.rowcount,
            updated.rowcount,
            bound.scalars().all(),
            driver,
            deleted.rowcount,
            [dict(r) for r in rows],
        )


def many_rows(engine: Engine) -> Any:
    """insertmanyvalues, where the database has RETURNING: several statements of many rows; else executemany."""
    with engine.connect().execution_options(insertmanyvalues_page_size=4) as conn:
        given = [{"name": f"values {n}"} for n in range(10)]
        if engine.dialect.insert_executemany_returning:
            result = conn.execute(sa.insert(customers).returning(customers.c.name, sort_by_parameter_order=True), given)
            names = result.scalars().all()
        else:
            names = [conn.execute(sa.insert(customers), given).rowcount]
        changed = conn.execute(
            sa.update(customers).where(customers.c.name == sa.bindparam("old")).values(name=sa.bindparam("new")),
            [{"old": f"values {n}", "new": f"changed {n}"} for n in range(3)],
        )
        count = conn.scalar(sa.select(sa.func.count()).where(customers.c.name.like("changed%")))
        conn.rollback()
        return names, changed.rowcount, count


def errors(engine: Engine) -> Any:
    heard: list[Any] = []

    def handle(context: Any) -> None:
        heard.append((type(context.original_exception).__qualname__, context.is_disconnect))

    def failing(*statements: str) -> str:
        try:
            with engine.begin() as conn:
                for statement in statements:
                    conn.execute(sa.text(statement))
        except sa.exc.DBAPIError as error:
            return f"{refused(error)} {error.statement} {error.connection_invalidated}"
        return "not refused"

    event.listen(engine, "handle_error", handle)
    twice = failing(*["insert into customer (id, name) values (901, 'twice')"] * 2)
    missing = failing("select * from nowhere")
    event.remove(engine, "handle_error", handle)
    return twice, missing, heard


def transactions(engine: Engine) -> Any:
    names = sa.select(customers.c.name).where(customers.c.name.like("t%")).order_by(customers.c.name)
    with engine.connect() as conn:
        with conn.begin():
            conn.execute(sa.insert(customers).values(name="t outer"))
            with conn.begin_nested():
                conn.execute(sa.insert(customers).values(name="t kept"))
            inner = conn.begin_nested()
            conn.execute(sa.insert(customers).values(name="t undone"))
            inner.rollback()
        seen = conn.scalars(names).all()
        conn.rollback()
        with conn.begin():
            conn.execute(sa.delete(customers).where(customers.c.name.like("t%")))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.insert(customers).values(name="t auto"))
        conn.rollback()
        return seen, conn.scalars(names).all(), conn.get_isolation_level()


def streams(engine: Engine) -> Any:
    with engine.connect() as conn:
        result = conn.execution_options(yield_per=2).execute(sa.select(customers.c.name).order_by(customers.c.id))
        return [list(part) for part in result.scalars().partitions()]


def objects(engine: Engine) -> Any:
    with orm.Session(engine) as session:
        session.add_all(Customer(name=f"orm {n}", orders=[Order(item="pen"), Order(item="ink")]) for n in range(3))
        session.commit()
        found = session.scalars(sa.select(Customer).where(Customer.name.like("orm%")).order_by(Customer.name)).all()
        lazy = [len(customer.orders) for customer in found]
        session.expire_all()
        wanted = sa.select(Customer).where(Customer.name.like("orm%"))
        eager = session.scalars(wanted.options(orm.selectinload(Customer.orders)).order_by(Customer.name)).all()
        joined = session.scalars(wanted.options(orm.joinedload(Customer.orders)).order_by(Customer.name)).unique().all()
        with session.begin_nested():
            found[0].name = "orm first"
        session.refresh(found[0])
        session.execute(sa.update(Order).where(Order.item == "ink").values(item="paper"))
        session.execute(sa.insert(Customer), [{"name": f"bulk {n}"} for n in range(3)])
        for order in found[1].orders:
            session.delete(order)
        session.commit()
        session.add(Customer(name="orm 2"))
        try:
            session.commit()
        except sa.exc.IntegrityError as error:
            session.rollback()
            return (
                lazy,
                len(eager),
                len(joined),
                found[0].name,
                refused(error),
                session.get(Customer, found[0].id) is found[0],
            )


def hooks(engine: Engine) -> Any:
    """Events that see or change the driver's objects."""
    seen: list[Any] = []

    def changed(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> Any:
        told[-1] += " /* changed */"
        return told[-1], parameters

    def connected(dbapi_connection: Any, record: Any) -> None:
        seen.append(("connect", type(dbapi_connection).__qualname__))
        cursor = dbapi_connection.cursor()
        told.append("select 1")
        cursor.execute("select 1")
        seen.append(tuple(cursor.fetchone()))
        cursor.close()

    listeners: dict[str, Callable[..., Any]] = {
        "connect": connected,
        "checkout": lambda connection, record, proxy: seen.append("checkout"),
        "checkin": lambda connection, record: seen.append("checkin"),
        "reset": lambda connection, record, state: seen.append("reset"),
    }
    engine.dispose()
    event.listen(engine, "before_cursor_execute", changed, retval=True)
    for name, heard in listeners.items():
        event.listen(engine, name, heard)
    with engine.connect() as conn:
        seen.append(conn.execute(sa.text("select 42")).scalar())
    event.remove(engine, "before_cursor_execute", changed)
    for name, heard in listeners.items():
        event.remove(engine, name, heard)
    return seen


def raw(engine: Engine) -> Any:
    conn = engine.raw_connection()
    try:
        cursor = conn.cursor()
        cursor.execute("select count(*) from customer where 1 = 0")
        told.append("select count(*) from customer where 1 = 0")
        rows = [tuple(row) for row in cursor.fetchall()]
        described = [column[0] for column in cursor.description]
        cursor.close()
        return rows, described, conn.dbapi_connection is conn.driver_connection
    finally:
        conn.close()


SCENARIOS: list[Callable[[Engine], Any]] = [
    first_connect, tables, core, many_rows, errors, transactions, streams, objects, raw, hooks,
]  # fmt: skip
