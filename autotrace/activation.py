"""activate(): read the settings, watch imports. Once per process; never raises. Tracing starts with the first patch.

No lock of ours is waited for, because imports end here while the importing thread holds the import system's locks.
"""

from __future__ import annotations

import atexit
import os
import sys
from _thread import allocate_lock, get_ident

from autotrace import containment, import_hook, own_imports, registry
from autotrace.settings import Settings, in_force, run_pid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

watcher: import_hook.Watcher | None = None
refusal = ""
"""Why autotrace leaves this process alone; '' where it does not."""
tracing: bool | None = None
"""None: not started yet. True: it runs. False: it cannot run here."""

_once = allocate_lock()
"""Taken by the first activate(), never released."""
_starter = allocate_lock()
"""Held while a thread starts tracing. Nobody waits for it: modules that are imported meanwhile are patched by its
holder.
"""
_starting_thread = 0
_shutdown: Callable[[], object] = int
"""The pipeline's. Kept here, because programs put sys.modules back."""


def activate() -> None:
    """Watch imports from now on; libraries that are already imported are patched at once."""
    try:
        if _once.acquire(False):
            _activate(in_force())
    except Exception:
        containment.contained("activation")


def _activate(settings: Settings) -> None:
    global refusal, watcher
    containment.silent = settings.log == "off"
    containment.verbose = settings.log == "debug"
    # No command line: another program embeds this Python, perhaps uWSGI.
    embedded = settings.enabled and not sys.orig_argv
    uwsgi = __import__("autotrace.patches.uwsgi", fromlist=["look_out"]) if embedded else None
    if settings.enabled:
        if os.name == "nt":
            refusal = "Windows is not supported; the program runs without traces"
        elif uwsgi and uwsgi.is_subinterpreter():
            refusal = uwsgi.REFUSAL
    if run_pid() in ("", str(os.getpid())):
        for line in filter(None, [*settings.problems, refusal]):
            containment.say(line)
    if refusal or not settings.enabled or _is_subinterpreter():
        return
    # Registered this early, it is called last, so that spans of the program's own exit handlers are sent too.
    atexit.register(_leave)
    os.register_at_fork(after_in_child=_in_child)
    watcher = import_hook.Watcher(start_tracing)
    sys.meta_path.insert(0, watcher)
    watcher.watch({**registry.PATCHES, **registry.dbapi_rows(settings.dbapi)}, settings.disabled_patches)
    if uwsgi:
        uwsgi.look_out(watcher)


def _is_subinterpreter() -> bool:
    """A subinterpreter may end while our thread runs, and takes the process with it. So nothing is done there."""
    import _signal  # type: ignore[import-not-found]

    try:
        _signal.signal(_signal.SIGINT, None)  # changes nothing: it refuses the thread first, and then the None
    except TypeError:
        return False  # this is the main thread of the main interpreter
    except ValueError:
        pass
    try:
        interpreters = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    except ImportError:
        return False
    return bool(interpreters.get_current() != interpreters.get_main())


def start_tracing() -> bool:
    """Connect the tracer to OpenTelemetry's API and to the exporter, once.

    False: tracing cannot run here, or some thread is starting it at this moment and patches what waits when it is done.
    """
    global _starting_thread
    if tracing is not None:
        return tracing
    if not _starter.acquire(False):
        return False
    try:
        _starting_thread = get_ident()
        _start()
    finally:
        _starting_thread = 0
        _starter.release()
    if tracing and watcher is not None:
        watcher.watch(registry.CARRIERS, in_force().disabled_patches)
        watcher.patch_pending()
    return tracing is True


def _start() -> None:
    global tracing, _shutdown
    if tracing is not None:  # another thread was faster
        return
    try:
        __import__("autotrace.tracing.tracer", fromlist=["register"]).register()
        pipeline = __import__("autotrace.export.pipeline", fromlist=["start"])
        pipeline.start(in_force())
        _shutdown = pipeline.shutdown
        tracing = True
    except Exception as failure:
        containment.reraise_interruption()  # the program's: the next import tries again
        tracing = False
        reason = f"{type(failure).__name__}: {failure}"
        containment.failures["tracing"] = (1, reason)
        containment.say(f"tracing cannot start ({reason}); the program runs without traces")


def _in_child() -> None:
    """Free what threads hold that the child has not: the start of tracing, and the locks of modules they were
    importing.
    """
    global _starter, _starting_thread
    try:
        if _starting_thread not in (0, get_ident()):
            _starter, _starting_thread = allocate_lock(), 0
        own_imports.release_dead_imports()
    except Exception:
        containment.contained("after a fork, in the child")


def _leave() -> None:
    _shutdown()
