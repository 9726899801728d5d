"""Our own failures: each is caught, told on stderr once per place, counted. Knows nothing of the program's own exceptions."""

from __future__ import annotations

import os
import sys

from autotrace.interruption import interrupted

verbose = False
"""Set from AUTOTRACE_LOG=debug: the traceback of a failure is printed too."""

silent = False
"""Set from AUTOTRACE_LOG=off: nothing is printed; failures are still counted."""

LONGEST_LINE = 1000
"""Characters of a line on stderr. It may quote what others wrote: a collector's answer, a setting."""

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

                write("".join(traceback.format_exception(kind, error, trace)))
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
    """One line on stderr, prefixed, cut, without control characters. A closed or missing stderr is no failure of the program's."""
    if silent:
        return
    try:
        line = "".join(one if one.isprintable() else "?" for one in text[: LONGEST_LINE + 1])
        write(f"autotrace: {line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 3] + '...'}\n")
    except Exception:
        pass


def write(text: str) -> None:
    """To the process's stderr, never to what stands in `sys.stderr` for a while: redirect_stderr() and capsys are the program's.

    As bytes, because a stream has a lock, which a fork in another thread would find held. Nothing, if there was no stderr at start-up.
    """
    if sys.__stderr__ is not None:
        os.write(2, text.encode("utf-8", "backslashreplace"))
