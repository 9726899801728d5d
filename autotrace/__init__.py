"""autotrace: distributed traces from unchanged programs. Public names are imported on first use."""

__version__ = "0.1.0"
__all__ = ["__version__", "activate", "carry"]

_HOMES = {"activate": "autotrace.activation", "carry": "autotrace.messaging.consumer_span"}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'autotrace' has no attribute {name!r}")
    return getattr(__import__(home, fromlist=[name]), name)
