"""The body of a WSGI answer whose request ends with it: to the server and to middleware it looks like what the program returned.

Limits: `type()` tells it apart, and C code that asks for a buffer or an exact class; lists, buffers and files never come here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from autotrace.tracing.current import leave, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.http_server.request import Request


def body(result: Any, request: Request, context: Any) -> Any:
    """In place of `result`, an iterable. `context`: the request's, in which its parts are made."""
    kind: Any = type(result)
    return _looking_like(kind)(result, request, context)


class Body:
    """Hands the parts of a body on, each made with the span current. Ends it when they are exhausted, closed or dropped."""

    def __init__(self, result: Any, request: Request, context: Any) -> None:
        # Past __setattr__(), and under names that no result has.
        own = self.__dict__
        own["_autotrace_result"] = result
        own["_autotrace_request"] = request
        own["_autotrace_context"] = context
        own["_autotrace_parts"] = None

    def __iter__(self) -> Iterator[Any]:
        own = self.__dict__
        parts = _parts(iter(own["_autotrace_result"]), own["_autotrace_request"], own["_autotrace_context"])
        own["_autotrace_parts"] = parts
        return parts

    def __next__(self) -> Any:
        return next(self.__dict__["_autotrace_parts"] or iter(self))

    def close(self) -> Any:
        close = getattr(self._autotrace_result, "close", None)
        token = put(self._autotrace_context)
        try:
            return close() if close is not None else None
        finally:
            leave(token)
            self._autotrace_request.end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_autotrace_result"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._autotrace_result, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._autotrace_result, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._autotrace_result.__reduce_ex__(protocol)  # copies and pickles are of what the program made

    def __del__(self) -> None:
        try:
            if self._autotrace_request.span.end_time is None:
                self._autotrace_request.end()
        except Exception:  # so late in the interpreter's life that modules are gone
            pass


# Python's own affairs, and what Body does itself.
_OURS = frozenset(
    """__class__ __class_getitem__ __del__ __getattr__ __getattribute__ __getstate__ __init__ __init_subclass__ __new__ __reduce__
    __setstate__ __subclasshook__""".split()
).union(vars(Body))


@lru_cache(maxsize=256)
def _looking_like(kind: type) -> type[Body]:
    """Django's answers are asked for `bytes(answer)`, `answer["Header"]` and isinstance(): Python looks these up on the class."""
    space: dict[str, Any] = {"__class__": property(lambda self: self._autotrace_result.__class__)}
    for name in dir(kind):
        if name.startswith("__") and name.endswith("__") and name not in _OURS:
            method = getattr(kind, name)
            if callable(method) and method is not getattr(object, name, None):
                space[name] = _handed_on(name)
    return type(kind.__name__, (Body,), space)


def _handed_on(name: str) -> Any:
    def method(self: Any, *args: Any) -> Any:
        return getattr(self._autotrace_result, name)(*args)

    return method


def _parts(parts: Iterator[Any], request: Request, context: Any) -> Iterator[Any]:
    """A generator, whose every step costs the server half of what a method of ours does."""
    token = put(context)
    try:
        for part in parts:
            leave(token)
            yield part
            token = put(context)
    except Exception as error:
        request.fail(error)
        raise
    finally:
        leave(token)
        request.end()
