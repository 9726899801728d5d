"""Tests of a family run as those of patches do."""

from tests.patches.conftest import spans

__all__ = ["spans"]
