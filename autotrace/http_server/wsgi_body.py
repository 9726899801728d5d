"""The body of a WSGI answer that ends the request's span. Servers and middleware see the program's own object.

Limits: `type()` tells the two apart, and so does C code that asks for a buffer or an exact class. Lists, buffers and
files are not wrapped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from autotrace.tracing.current import get, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.http_server.request import Request


def traced_body(result: Any, request: Request, context: Any) -> Any:
    """In place of `result`, an iterable. `context`: the request's, in which the parts are made."""
    kind: Any = type(result)
    return _body_class(kind)(result, request, context)


class Body:
    """Passes the parts on; the span is active while one is made.

    The span ends when the body is exhausted, closed or dropped.
    """

    def __init__(self, result: Any, request: Request, context: Any) -> None:
        # Not through __setattr__(), and under names that no result has.
        attributes = self.__dict__
        attributes["_autotrace_result"] = result
        attributes["_autotrace_request"] = request
        attributes["_autotrace_context"] = context
        attributes["_autotrace_parts"] = None

    def __iter__(self) -> Iterator[Any]:
        attributes = self.__dict__
        parts = _traced_parts(
            iter(attributes["_autotrace_result"]), attributes["_autotrace_request"], attributes["_autotrace_context"]
        )
        attributes["_autotrace_parts"] = parts
        return parts

    def __next__(self) -> Any:
        return next(self.__dict__["_autotrace_parts"] or iter(self))

    def close(self) -> Any:
        outer = get()
        try:
            try:
                put(self._autotrace_context)
                close = getattr(self._autotrace_result, "close", None)
                result = None if close is None else close()
                put(outer)
            except BaseException:
                put(outer)
                raise
        except BaseException:
            put(outer)
            self._autotrace_request.end()
            raise
        self._autotrace_request.end()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_autotrace_result"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._autotrace_result, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._autotrace_result, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._autotrace_result.__reduce_ex__(protocol)  # copies and pickles are of the program's object

    def __del__(self) -> None:
        try:
            if self._autotrace_request.span.end_time is None:
                self._autotrace_request.end()
        except Exception:  # so late in the interpreter's life that modules are gone
            pass


# Python's own machinery, and methods that Body has itself.
_NOT_FORWARDED = frozenset(
    """__class__ __class_getitem__ __del__ __getattr__ __getattribute__ __getstate__ __init__ __init_subclass__
    __new__ __reduce__ __setstate__ __subclasshook__""".split()
).union(vars(Body))


@lru_cache(maxsize=256)
def _body_class(kind: type) -> type[Body]:
    """Body with the special methods of `kind`: for `bytes(answer)` and `answer["Header"]` Python asks the class."""
    space: dict[str, Any] = {"__class__": property(lambda self: self._autotrace_result.__class__)}
    for name in dir(kind):
        if name.startswith("__") and name.endswith("__") and name not in _NOT_FORWARDED:
            method = getattr(kind, name)
            if callable(method) and method is not getattr(object, name, None):
                space[name] = _forwarded(name)
    return type(kind.__name__, (Body,), space)


def _forwarded(name: str) -> Any:
    def method(self: Any, *args: Any) -> Any:
        return getattr(self._autotrace_result, name)(*args)

    return method


def _traced_parts(parts: Iterator[Any], request: Request, context: Any) -> Iterator[Any]:
    """A generator: a step of it costs half of a call of `__next__` written in Python.

    `outer` is None while it is suspended, because it may be closed in another thread.
    """
    outer = None
    try:
        try:
            outer = get()
            put(context)
            for part in parts:
                put(outer)
                outer = None
                yield part
                outer = get()
                put(context)
            put(outer)
        except BaseException as error:
            if outer is not None:
                put(outer)
            request.fail(error)
            raise
    except BaseException:
        if outer is not None:
            put(outer)
        request.end()
        raise
    request.end()
