"""Tests of the family's own rules run as those of patches do: in one traced process, spans in a list."""

from tests.patches.conftest import spans

__all__ = ["spans"]
