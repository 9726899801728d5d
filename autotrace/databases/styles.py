"""The two styles of a driver's API, plain and awaited: one name for both twins, so that a patch is written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.databases import connects, outermost, streaming, traced_methods

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Make


class Style(NamedTuple):
    method: Callable[..., Make]
    outermost: Callable[..., Make]
    rows: Callable[..., Make]
    block: Callable[..., Make]
    connect: Callable[..., Make]


PLAIN = Style(
    traced_methods.traced_method,
    outermost.outermost,
    streaming.traced_rows,
    streaming.traced_block,
    connects.traced_connect,
)
AWAITED = Style(
    traced_methods.traced_coroutine,
    outermost.outermost_coroutine,
    streaming.traced_async_rows,
    streaming.traced_async_block,
    connects.traced_connect_coroutine,
)
