"""A context that a thread keeps only until its span has ended. Decided when it is read; other contexts cost nothing
more.

It is for workers that may outlive the request that happened to start them. A context derived from it while the span
runs is an ordinary one, with the contents of that moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context

from autotrace.tracing.current import SPAN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator


class UntilEnded(Context):
    """Reads like the context it was made of, and as an empty one once that context's span has ended."""

    __slots__ = ()

    def _contents(self) -> dict[str, object]:
        return {} if is_ended(dict.get(self, SPAN_KEY)) else dict(dict.items(self))

    def get(self, key: str, default: Any = None) -> Any:
        return default if is_ended(dict.get(self, SPAN_KEY)) else dict.get(self, key, default)

    def __getitem__(self, key: str) -> object:
        return self._contents()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._contents()

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents())

    def __len__(self) -> int:
        return len(self._contents())

    def keys(self) -> Any:
        return self._contents().keys()

    def items(self) -> Any:
        return self._contents().items()

    def values(self) -> Any:
        return self._contents().values()

    def copy(self) -> dict[str, object]:
        return self._contents()


def is_ended(span: Any) -> bool:
    """Has this span ended? A span that cannot tell, as a remote one, has not."""
    return getattr(span, "end_time", None) is not None
