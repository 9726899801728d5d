"""activate(): read the settings, watch imports. Once per process; never raises. Tracing starts with the first patch."""

from __future__ import annotations

import atexit
import os
import sys
from _thread import RLock

from autotrace import containment, import_hook, registry
from autotrace.settings import Settings, in_force, run_pid

watcher: import_hook.Watcher | None = None
refusal = ""
"""Why autotrace leaves this process alone; '' where it does not."""
tracing: bool | None = None
"""None: not started yet. True: it runs. False: it cannot run here."""

_lock = RLock()
_activated = False
_starting = False


def activate() -> None:
    """Watch imports from now on; libraries that are already imported are patched at once."""
    global _activated
    try:
        with _lock:
            if not _activated:
                _activated = True
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
    if refusal or not settings.enabled:
        return
    # Registered this early, it is called last, so that spans of the program's own exit handlers are sent too.
    atexit.register(_leave)
    watcher = import_hook.Watcher(start_tracing)
    sys.meta_path.insert(0, watcher)
    watcher.watch({**registry.PATCHES, **registry.dbapi_rows(settings.dbapi)}, settings.disabled_patches)
    if uwsgi:
        uwsgi.look_out(watcher)


def start_tracing() -> bool:
    """Connect the tracer to OpenTelemetry's API and to the exporter, once. False: tracing cannot run here."""
    global tracing, _starting
    with _lock:
        if tracing is not None or _starting:
            return tracing is not False
        _starting = True
        try:
            __import__("autotrace.tracing.tracer", fromlist=["register"]).register()
            __import__("autotrace.export.pipeline", fromlist=["start"]).start(in_force())
            tracing = True
        except Exception as failure:
            tracing = False
            reason = f"{type(failure).__name__}: {failure}"
            containment.failures["tracing"] = (1, reason)
            containment.say(f"tracing cannot start ({reason}); the program runs without traces")
        finally:
            _starting = False
    if tracing and watcher is not None:
        watcher.watch(registry.CARRIERS, in_force().disabled_patches)
    return tracing


def _leave() -> None:
    if tracing:
        sys.modules["autotrace.export.pipeline"].shutdown()
