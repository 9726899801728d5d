"""What gives the statement on its way to a driver the comment of AUTOTRACE_SQL_COMMENTS. Switched off, it is not there. Knows no driver."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.sql import comments
from autotrace.tracing.current import get, span_of
from autotrace.tracing.traced_call import with_argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Driver

    Make = Callable[[Any], Any]
    Comment = Callable[[str], str]


def text_alone(given: Any, comment: Comment) -> Any:
    """Only a str is a statement: bytes are what drivers and their helpers have built (`execute_values`), the rest is theirs to read."""
    return comment(given) if type(given) is str else given


def commented(us: Driver, parameter: str, make: Make, put: Callable[[Any, Comment], Any] = text_alone) -> Make:
    """`make`, which gives a method its span, so that inside of it the method's statement gets the comment.

    parameter: the name of the first argument after self, which holds the statement. put(it, comment) -> what is sent in its place,
    or itself. For methods that send plain text only: where a driver prepares statements and knows them by their text, each comment
    would be another statement.
    """
    if comments.mode == "off":
        return make
    place, family, component = f"{us.component}: the SQL comment", us.family, us.component

    def making(original: Any) -> Any:
        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            try:
                span = span_of(get())
                if getattr(span, "family", None) is family:
                    given = args[0] if args else kwargs.get(parameter)
                    sent = put(given, lambda text: comments.with_comment(text, component, span))
                    if sent is not given:
                        args, kwargs = with_argument(args, kwargs, 0, parameter, sent)
            except Exception:
                contained(place)
            return original(self, *args, **kwargs)

        return make(update_wrapper(call, original))

    return making
