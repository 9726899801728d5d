"""Our own failures: each is caught, told on stderr once per place, counted. Knows nothing of the program's own exceptions."""

from __future__ import annotations

import sys

from autotrace.interruption import interrupted

verbose = False
"""Set from AUTOTRACE_LOG=debug: the traceback of a failure is printed too."""

silent = False
"""Set from AUTOTRACE_LOG=off: nothing is printed; failures are still counted."""

failures: dict[str, tuple[int, str]] = {}
"""Place -> (how often, the first failure as one line)."""


def contained(place: str) -> None:
    """Note the exception being handled as a failure of ours at `place`. Call it inside an `except` block.

    Raises that exception again if it is the program's: if it interrupted our code instead of arising there. Nothing else is raised.
    """
    reraise_interruption()
    try:
        kind, error, trace = sys.exc_info()
        count, first = failures.get(place, (0, ""))
        if not count:
            first = f"{kind.__name__ if kind else 'unknown'}: {error}"
            say(f"internal failure in {place}: {first}. The program goes on without this span.")
            if verbose:
                import traceback

                traceback.print_exception(kind, error, trace)
        failures[place] = (count + 1, first)
        del trace
    except Exception:
        pass


def reraise_interruption() -> None:
    """Raise the exception being handled again if it is the program's. For an `except` block that has its own way on with ours."""
    error = sys.exc_info()[1]
    if error is not None and interrupted(error):
        raise  # noqa: PLE0704 - the caller is handling it


def say(text: str) -> None:
    """One line on stderr, prefixed. A closed or missing stderr is no failure of the program's."""
    if silent:
        return
    try:
        sys.stderr.write(f"autotrace: {text}\n")
    except Exception:
        pass
