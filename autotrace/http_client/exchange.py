"""An exchange on the wire: its headers, and the end of its span when the body is read, closed or dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.http_client.server_facts import host_of
from autotrace.tracing import propagate

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.span import Span

_NO_FAILURE = (GeneratorExit, KeyboardInterrupt, SystemExit)
"""By these the program stops reading; the server did not fail. A cancelled task, however, is an error of the span."""


class Exchange:
    """Ends its span once: when the body is read or closed, or when the program no longer holds the response.

    Only the library's response may hold this object for long, because its deletion ends the span.
    """

    __slots__ = ("place", "span")

    def __init__(self, span: Span, place: str) -> None:
        self.span = span
        self.place = place

    def end(self, error: BaseException | None = None) -> None:
        """Never raises. `error`: the exception that reading the body raised."""
        try:
            if error is not None and not isinstance(error, _NO_FAILURE):
                self.span.fail(error)
            self.span.end()
        except Exception:
            contained(self.place)

    def __del__(self) -> None:
        try:
            self.span.end()
        except Exception:  # so late in the interpreter's life that modules are gone
            pass


def wrap_close(slot: str) -> Callable[[Any], Any]:
    """For a method that closes a response or a connection: ends the Exchange in attribute `slot`, even if it raises."""

    def wrap(original: Any) -> Any:
        def close(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self, *args, **kwargs)
            finally:
                exchange = vars(self).pop(slot, None)
                if exchange is not None:
                    exchange.end()

        return close

    return wrap


def has_no_body(method: Any, status: int, length: Any) -> bool:
    """`length`: the text of Content-Length, or None."""
    return status in (204, 304) or status < 200 or length == "0" or method == "HEAD"


def header_changes(names: list[str], span: Span) -> tuple[list[bool], list[tuple[str, str]]] | None:
    """Inject into headers that are no mapping: (for each of `names`, whether it stays; the pairs to add).

    None: the host is no target, so the headers stay as they are.
    """
    headers: Any = propagate.injected(names, span, host_of(span), dict.fromkeys)
    if headers is names:
        return None
    stay = [headers.get(name, "") is None for name in names]
    return stay, [(name, value) for name, value in headers.items() if value is not None]
