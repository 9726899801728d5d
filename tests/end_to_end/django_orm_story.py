"""Django's ORM in the ways it is used, on one database: a program.

`python -m tests.end_to_end.django_orm_story DATABASE`.

DATABASE: JSON of one of Django's DATABASES; `PYMYSQL` and `PSYCOPG2` say which driver, where Django would take another.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import django
from asgiref.sync import async_to_sync
from django.conf import settings

DATABASE: dict[str, Any] = json.loads(sys.argv[1])
if DATABASE.pop("PYMYSQL", False):
    import pymysql

    pymysql.install_as_MySQLdb()  # type: ignore[no-untyped-call]
if DATABASE.pop("PSYCOPG2", False):
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django then takes psycopg2
settings.configure(
    DATABASES={"default": DATABASE},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["tests.end_to_end.django_shop"],
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.db.backends.signals import connection_created
from django.db.models import Count, F, Prefetch, Sum
from django.test.utils import CaptureQueriesContext

from tests.end_to_end.django_shop.models import Customer, Order
from tests.end_to_end.scenarios import begin, end, library_statements, refused, scenario


def first_connect() -> Any:
    seen: list[Any] = []

    def created(connection: Any, **_: Any) -> None:
        kind = type(connection.connection)
        seen.append((connection.vendor, connection.display_name, kind.__module__, kind.__qualname__))

    connection_created.connect(created)
    connection.ensure_connection()
    connection_created.disconnect(created)
    hear(connection)
    features = connection.features
    return (
        seen,
        connection.is_usable(),
        features.supports_transactions,
        features.has_bulk_insert,
        connection.get_database_version(),
    )


def migrations() -> Any:
    call_command("migrate", verbosity=0)
    call_command("migrate", "django_shop", "0001", verbosity=0)
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        columns = connection.introspection.get_table_description(cursor, "django_shop_order")
        constraints = connection.introspection.get_constraints(cursor, "django_shop_order")
    return tables, [column.name for column in columns], len(constraints), Customer.objects.get().name


def rows() -> Any:
    when = datetime.datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=datetime.timezone.utc)
    ada = Customer.objects.create(name="Ada", joined=when, balance="12.50", notes={"a": [1, None, "é"]})
    made = Customer.objects.bulk_create([Customer(name=f"bulk {n}") for n in range(5)], batch_size=2)
    Customer.objects.bulk_create([Customer(name="Ada")], ignore_conflicts=True)
    Order.objects.bulk_create(Order(item=item, customer=ada) for item in ("pen", "ink"))
    again, was_made = Customer.objects.get_or_create(name="Ada")
    changed, was_new = Customer.objects.update_or_create(name="Ada", defaults={"balance": Decimal("13.00")})
    ada.refresh_from_db()
    updated = Customer.objects.filter(name__startswith="bulk").update(balance=F("balance") + 1)
    ada.name = "Ada L."
    ada.save(update_fields=["name"])
    Customer.objects.bulk_update([ada], ["balance"])
    Customer.objects.get(name="bulk 4").delete()
    return (
        ada.joined,
        ada.balance,
        ada.notes,
        len(made),
        was_made,
        was_new,
        again == changed,
        updated,
        Customer.objects.count(),
    )


def queries() -> Any:
    lazy = [order.customer.name for order in Order.objects.order_by("id")]
    joined = [order.customer.name for order in Order.objects.select_related("customer").order_by("id")]
    fetched = Customer.objects.prefetch_related(Prefetch("orders", Order.objects.order_by("id"))).order_by("id")
    items = [[order.item for order in customer.orders.all()] for customer in fetched]
    totals = Customer.objects.aggregate(Sum("balance"), Count("orders"))
    found = Customer.objects.filter(notes__a__0=1).values_list("name", flat=True)
    raw = [
        customer.name
        for customer in Customer.objects.raw("SELECT * FROM django_shop_customer WHERE balance > %s", ["5"])
    ]
    chunks = [customer.name for customer in Customer.objects.order_by("id").iterator(chunk_size=2)]
    one = (
        Customer.objects.filter(name="Ada L.").exists(),
        Customer.objects.in_bulk([-1]),
        Customer.objects.none().count(),
    )
    both = Customer.objects.filter(name="Ada L.").union(Customer.objects.filter(name="bulk 1")).count()
    return lazy, joined, items, totals, list(found), raw, chunks, one, both, bool(Customer.objects.all().explain())


def cursors() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM django_shop_customer WHERE name = %s", ["Ada L."])
        one, described = cursor.fetchone(), cursor.description[0][0]
        cursor.execute("SELECT 1")
        plain = cursor.fetchall()
        cursor.executemany(
            "UPDATE django_shop_customer SET balance = %s WHERE name = %s", [(1, "bulk 1"), (2, "bulk 2")]
        )
        count = cursor.rowcount
        kind, ours = type(cursor.cursor), cursor.db is connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM django_shop_customer ORDER BY id")
        return one, described, plain, count, kind.__module__, kind.__qualname__, ours, [row[0] for row in cursor]


def transactions() -> Any:
    heard: list[str] = []
    with transaction.atomic():
        Order.objects.create(item="kept", customer=Customer.objects.get(name="Ada L."))
        transaction.on_commit(lambda: heard.append("committed"))
        try:
            with transaction.atomic():
                Order.objects.create(item="undone", customer=Customer.objects.first())
                raise LookupError
        except LookupError:
            pass
        try:
            with transaction.atomic():
                Customer.objects.create(name="Ada L.")
        except IntegrityError as error:
            heard.append(refused(error))
        locked = (
            connection.features.has_select_for_update and Customer.objects.select_for_update().get(name="Ada L.").name
        )
    try:
        with transaction.atomic():
            Order.objects.all().delete()
            raise LookupError
    except LookupError:
        pass
    connection.set_autocommit(False)
    Order.objects.create(item="manual", customer=Customer.objects.get(name="Ada L."))
    transaction.rollback()
    connection.set_autocommit(True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nowhere")
    except DatabaseError as error:
        heard.append(refused(error))
    return heard, locked, list(Order.objects.order_by("id").values_list("item", flat=True))


def query_log() -> Any:
    """connection.queries, as with DEBUG: the driver's own account. sqlite quotes it with one more statement."""
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        list(Customer.objects.filter(name__in=["Ada L.", "O'Neill"]))
        Customer.objects.filter(name="bulk 1").update(balance=3)
    return [query["sql"] for query in captured]


def threads() -> Any:
    def one(number: int) -> Any:
        try:
            hear(connection)
            return Customer.objects.count()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return list(pool.map(one, range(2)))


def awaited() -> Any:
    async def work() -> Any:
        names = [customer.name async for customer in Customer.objects.order_by("id")]
        return names, await Customer.objects.acount(), (await Customer.objects.aget(name="Ada L.")).name

    return async_to_sync(work)()


def reconnects() -> Any:
    connection.close()
    first = Customer.objects.count()
    connection.close_if_unusable_or_obsolete()
    return first, Customer.objects.count(), connection.connection is not None


def test_database() -> Any:
    """What the test runner does: a database of its own, made by migrations, and dropped."""
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=True)
    count = Customer.objects.count()
    connection.creation.destroy_test_db(name, verbosity=0)
    return count, connection.settings_dict["NAME"] == name


SCENARIOS: list[Callable[[], Any]] = [
    first_connect, migrations, rows, queries, cursors, transactions, query_log, threads, awaited, reconnects,
]  # fmt: skip


def hear(connection: Any) -> None:
    """Django's own account of what it sends; a connection keeps it for good."""

    def sent(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        library_statements.append(str(sql))
        return execute(sql, params, many, context)

    if not connection.execute_wrappers:
        connection.execute_wrappers.append(sent)


def main() -> None:
    with connection.cursor() as cursor:
        for table in ("django_shop_order", "django_shop_customer", "django_migrations"):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
    connection.close()
    begin()
    for run in SCENARIOS:
        scenario(run.__name__, run)
    if connection.vendor != "mysql":  # there the user may not
        scenario("test_database", test_database)
    connection.close()
    end()


if __name__ == "__main__":
    main()
