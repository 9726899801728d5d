"""Contained errors: autotrace's own, said on stderr once per place, and counted. Never the program's exceptions."""

from __future__ import annotations

import sys

verbose = False
"""AUTOTRACE_LOG=debug: the traceback of a contained error is printed too."""

silent = False
"""AUTOTRACE_LOG=off: nothing is printed; contained errors are still counted."""

failures: dict[str, tuple[int, str]] = {}
"""Place -> (how often, the first error there as one line)."""


def contained(place: str) -> None:
    """Note the exception being handled as a contained error at `place`. For use in an `except` block; never raises."""
    try:
        kind, error, trace = sys.exc_info()
        count, first = failures.get(place, (0, ""))
        if not count:
            first = f"{kind.__name__ if kind else 'unknown'}: {error}"
            say(f"internal error in {place}: {first}. The program runs on; this span may be missing.")
            if verbose:
                import traceback

                traceback.print_exception(kind, error, trace)
        failures[place] = (count + 1, first)
        del trace  # its frames would hold the program's objects
    except Exception:
        pass


def say(text: str) -> None:
    """Print one line on stderr, prefixed. A closed or missing stderr is ignored."""
    if silent:
        return
    try:
        sys.stderr.write(f"autotrace: {text}\n")
    except Exception:
        pass
