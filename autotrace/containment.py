"""Contained errors: autotrace's own, said on stderr once per place, and counted. Never the program's exceptions."""

from __future__ import annotations

import os
import sys

verbose = False
"""AUTOTRACE_LOG=debug: the traceback of a contained error is printed too."""

silent = False
"""AUTOTRACE_LOG=off: nothing is printed; contained errors are still counted."""

LONGEST_LINE = 1000
"""Characters of a line on stderr. It may quote what others wrote: a collector's answer, a setting."""

failures: dict[str, tuple[int, str]] = {}
"""Place -> (how often, the first error there as one line)."""


def contained(place: str) -> None:
    """Note the exception being handled as a contained error at `place`. For use in an `except` block.

    Raises that exception again if it belongs to the program, because it interrupted our code. Raises nothing else.
    """
    reraise_interruption()
    try:
        kind, error, trace = sys.exc_info()
        count, first = failures.get(place, (0, ""))
        if not count:
            first = f"{kind.__name__ if kind else 'unknown'}: {error}"
            say(f"internal error in {place}: {first}. The program runs on; this span may be missing.")
            if verbose:
                import traceback

                write("".join(traceback.format_exception(kind, error, trace)))
        failures[place] = (count + 1, first)
        del trace  # its frames would hold the program's objects
    except Exception:
        pass


def reraise_interruption() -> None:
    """Raise the exception being handled again if it belongs to the program. For `except` blocks that contain an error
    by themselves.
    """
    from autotrace.interruption import interrupted

    error = sys.exc_info()[1]
    if error is not None and interrupted(error):
        raise  # noqa: PLE0704 - the caller is handling it


def say(text: str) -> None:
    """Print one line on stderr, prefixed, cut, without control characters. A closed or missing stderr is ignored."""
    if silent:
        return
    try:
        line = "".join(one if one.isprintable() else "?" for one in text[: LONGEST_LINE + 1])
        write(f"autotrace: {line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 3] + '...'}\n")
    except Exception:
        pass


def write(text: str) -> None:
    """To the process's stderr, never to what stands in `sys.stderr` for a while: redirect_stderr() and capsys are the
    program's.

    As bytes, because a stream has a lock, which a fork in another thread would find held. Nothing, if there was no
    stderr at start-up.
    """
    if sys.__stderr__ is not None:
        os.write(2, text.encode("utf-8", "backslashreplace"))
