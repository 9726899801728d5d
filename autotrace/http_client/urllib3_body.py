"""The end of an exchange of urllib3's: its body is read, closed or breaks off. Knows urllib3's responses alone.

The Exchange stands on http.client's response, which the program holds as long as urllib3's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotrace.http_client.exchange import Exchange

SLOT = "_autotrace_exchange"


def _exchange_of(response: Any) -> Exchange | None:
    wire = getattr(response, "_original_response", None)
    return getattr(wire, "__dict__", {}).get(SLOT)  # not getattr(): a mock has every attribute


class _BodyRead:
    """urllib3's own context manager of one read of a body, and the exchange, which ends if the body does."""

    __slots__ = ("exchange", "manager", "response")

    def __init__(self, manager: Any, exchange: Exchange, response: Any) -> None:
        self.manager = manager
        self.exchange = exchange
        self.response = response

    def __enter__(self) -> Any:
        return self.manager.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        try:
            swallowed = self.manager.__exit__(kind, error, trace)
        except BaseException as translated:
            self.exchange.end(translated)
            raise
        if error is not None:
            self.exchange.end(error)
        elif self.response._original_response.isclosed():
            self.exchange.end()
        return swallowed


def wrap_error_catcher(original: Any) -> Any:
    def _error_catcher(*args: Any, **kwds: Any) -> Any:  # parameters as contextlib names them
        manager = original(*args, **kwds)
        exchange = _exchange_of(args[0])
        return manager if exchange is None else _BodyRead(manager, exchange, args[0])

    return _error_catcher


def wrap_close(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            exchange = _exchange_of(self)
            if exchange is not None:
                exchange.end()

    return close
