"""A job that a pool's thread runs without a context of its submitter. Its threads keep what a job leaves
active there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

runner: Callable[..., Any] | None = None
"""runner(work, *args, **kwargs) runs a job and tidies up after it. messaging sets it, because only records stay active.
"""
