"""Copies of a library's modules as they were before the patch, for tests of a patch on a library that lacks
something.
"""

from __future__ import annotations

import types
from typing import Any

from autotrace.patching import MARK


def copy_of(module: Any) -> Any:
    """The module with its functions as the library wrote them; its classes are the library's own, patched."""
    copy: Any = types.ModuleType(module.__name__)
    vars(copy).update({name: getattr(value, MARK, value) for name, value in vars(module).items()})
    return copy
