"""The commands: `autotrace-run CMD…` becomes the program by one exec; `autotrace check` reports."""

from __future__ import annotations

import errno
import os
import sys

from autotrace import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# Option -> the variable that it sets. Other settings have no option, because their variable is as short.
OPTIONS = {
    "--service": "AUTOTRACE_SERVICE_NAME",
    "--exporter": "AUTOTRACE_EXPORTER",
    "--endpoint": "AUTOTRACE_ENDPOINT",
    "--propagators": "AUTOTRACE_PROPAGATORS",
    "--conventions": "AUTOTRACE_CONVENTIONS",
}
RUN_USAGE = """usage: autotrace-run [--service NAME] [--exporter jaeger|console|none|jaeger_thrift] [--endpoint URL]
                     [--propagators LIST] [--conventions both|opentracing|otel] CMD [ARGS...]

Runs CMD with tracing: `autotrace-run python app.py`, `autotrace-run gunicorn app:app`.
Each option sets an environment variable. The README lists all variables; `autotrace check` shows those that are set."""
USAGE = """usage: autotrace check      which libraries are patched, which are not and why, and the settings in force
       autotrace --version
       autotrace run ...    the same as autotrace-run"""


def run_main() -> NoReturn:
    """`autotrace-run`. Exit codes: 2 wrong options, 127 no such command, 126 not executable, else the program's."""
    environ, command = _options(sys.argv[1:])
    environ["PYTHONPATH"] = _python_path(bootstrap_folder(), environ.get("PYTHONPATH", ""))
    environ["AUTOTRACE_RUN_PID"] = str(os.getpid())  # exec keeps the process id
    _restore_signals()
    try:
        _exec(command, environ)
    except OSError as error:
        failure = error
    missing = failure.errno in (errno.ENOENT, errno.ENOTDIR)
    _end(
        127 if missing else 126,
        f"{command[0]}: {'command not found' if missing else os.strerror(failure.errno or 0)}",
    )


def main() -> NoReturn:
    """`autotrace`."""
    words = sys.argv[1:]
    if words[:1] == ["run"]:
        del sys.argv[1]
        run_main()
    if words == ["check"]:
        sys.exit(_check())
    if words in (["--version"], ["-V"]):
        print(f"autotrace {__version__}")
        sys.exit(0)
    if words in (["--help"], ["-h"]):
        print(USAGE)
        sys.exit(0)
    _end(2, f"{' '.join(words)!r} is not a command\n{USAGE}" if words else f"a command is missing\n{USAGE}")


def _check() -> int:
    report = __import__("autotrace.check", fromlist=["report"]).report
    try:
        code: int = report(sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:  # `autotrace check | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return code


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """(the environment with the options set in it, the command)."""
    environ = dict(os.environ)
    while words and words[0].startswith("-"):
        word, equals, value = words.pop(0).partition("=")
        if word == "--":
            break
        if word in ("-h", "--help"):
            print(RUN_USAGE)
            sys.exit(0)
        if word == "--version":
            print(f"autotrace {__version__}")
            sys.exit(0)
        if word not in OPTIONS:
            _end(2, f"{word} is not an option\n{RUN_USAGE}")
        if not equals:
            if not words:
                _end(2, f"{word} needs a value")
            value = words.pop(0)
        environ[OPTIONS[word]] = value
    if not words:
        _end(2, f"a command is missing\n{RUN_USAGE}")
    return environ, words


def bootstrap_folder() -> str:
    """`bootstrap/`: inside the installed package; of an editable install, beside it."""
    package = os.path.dirname(os.path.abspath(__file__))
    inside = os.path.join(package, "bootstrap")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "bootstrap")


def _python_path(folder: str, given: str) -> str:
    # An empty entry would mean the current folder, so that none is added.
    if not given:
        return folder
    return given if folder in given.split(os.pathsep) else folder + os.pathsep + given


def _restore_signals() -> None:
    """Python ignores two signals from its start on. A command that is not Python must not inherit that."""
    import _signal  # type: ignore[import-not-found]

    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)


def _exec(command: list[str], environ: dict[str, str]) -> None:
    try:
        os.execvpe(command[0], command, environ)
    except OSError as failure:
        if failure.errno != errno.ENOEXEC:
            raise
        # A script without a first line `#!`: shells run it with sh, so that it ran before autotrace-run.
        os.execve("/bin/sh", ["sh", *command], environ)


def _end(code: int, text: str) -> NoReturn:
    sys.stderr.write(f"autotrace: {text}\n")
    sys.exit(code)
