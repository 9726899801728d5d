"""Tests of the services themselves. The clients are not traced here, although other tests may have patched them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import context

from autotrace.tracing.current import SUPPRESS_KEY


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    token = context.attach(context.set_value(SUPPRESS_KEY, True))
    yield
    context.detach(token)
