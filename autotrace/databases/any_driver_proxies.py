"""Stand-ins for connections and cursors of C classes that cannot be changed. Knows no driver.

Limits: `type(cursor)` is ours, although isinstance() sees the driver's class. C code that wants its own object refuses
the stand-in. Shortcuts that some connections have (`connection.execute`) are not traced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotrace.databases.driver import Make


def proxies(connection: dict[str, Make], cursor: dict[str, Make]) -> tuple[Any, Any]:
    """(class for connections, class for cursors) of one driver; called late, because wrapt is no small import.

    connection, cursor: name of a method -> the function that traces it.
    """
    Proxy = _proxy()
    Connection, Cursor = type("Connection", (Proxy,), {}), _cursor(Proxy)
    for kind, methods in ((Connection, connection), (Cursor, cursor)):
        for name, make in methods.items():
            setattr(kind, name, make(_passed_on(name)))
    return Connection, Cursor


def _proxy() -> Any:
    import wrapt

    ObjectProxy: Any = wrapt.ObjectProxy

    class Proxy(ObjectProxy):  # type: ignore[misc]
        def __enter__(self) -> Any:
            return self._self_or(self.__wrapped__.__enter__())

        def _self_or(self, result: Any) -> Any:
            """A method that returns its own object returns the stand-in."""
            return self if result is self.__wrapped__ else result

    return Proxy


def _cursor(Proxy: Any) -> Any:
    class Cursor(Proxy):  # type: ignore[misc]
        def __init__(self, wrapped: Any, connection: Any) -> None:
            super().__init__(wrapped)
            self._self_connection = connection

        @property
        def connection(self) -> Any:
            connection, stand_in = self.__wrapped__.connection, self._self_connection
            return stand_in if connection is getattr(stand_in, "__wrapped__", stand_in) else connection

        def __iter__(self) -> Any:
            return self._self_or(iter(self.__wrapped__))

        def __next__(self) -> Any:
            return next(self.__wrapped__)

    return Cursor


def _passed_on(name: str) -> Any:
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self._self_or(getattr(self.__wrapped__, name)(*args, **kwargs))

    method.__name__ = method.__qualname__ = name
    return method
