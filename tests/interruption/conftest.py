"""The tests of a driver that a setting names run as those of patches do."""

from tests.patches.conftest import spans

__all__ = ["spans"]
