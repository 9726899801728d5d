"""The end of an exchange of aiohttp's: its body has arrived, is read, closed or breaks off. Knows its
responses alone.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.tracing.traced_call import argument

PLACE = "aiohttp"
SLOT = "_autotrace_exchange"


def wrap_end(original: Any) -> Any:
    def end_exchange(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).get(SLOT)
        if exchange is not None:
            exchange.end(_body_error(self))
        return original(self, *args, **kwargs)

    return end_exchange


def _body_error(response: Any) -> Any:
    """The error that broke off the body. Read before the library's method, which may put an error of its own there."""
    try:
        return response.content.exception()
    except Exception:
        contained(PLACE)
        return None


def wrap_read(original: Any) -> Any:
    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).pop(SLOT, None)  # a read that fails calls close(), which does not know the error
        if exchange is None:
            return await original(self, *args, **kwargs)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            exchange.end(error)
            raise
        exchange.end()
        return result

    return read


def wrap_exit(original: Any) -> Any:
    async def __aexit__(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = vars(self).get(SLOT)
        error = argument(args, kwargs, 1, "exc_val")
        if exchange is not None and type(error).__name__ == "CancelledError":
            exchange.end(error)
        return await original(self, *args, **kwargs)

    return __aexit__
