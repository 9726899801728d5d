"""activate(): settings, then the import watcher. Once per process, never raises; tracing itself begins with the first patch."""

from __future__ import annotations

import atexit
import os
import sys
from _thread import RLock

from autotrace import containment, import_hook, registry
from autotrace.settings import Settings, in_force, run_pid

settings: Settings | None = None
watcher: import_hook.Watcher | None = None

_lock = RLock()
_begun: bool | None = None  # None: not yet; True: tracing runs; False: it cannot
_beginning = False


def activate() -> None:
    """Watch imports from now on; libraries that are already imported are patched at once."""
    global settings, watcher
    try:
        with _lock:
            if settings is not None:
                return
            settings = in_force()
            containment.silent = settings.log == "off"
            containment.verbose = settings.log == "debug"
            # No command line: another program embeds this Python.
            embedding = None if sys.orig_argv else __import__("autotrace.embedding", fromlist=["look_out"])
            refused = [embedding.REFUSAL] if embedding and settings.enabled and embedding.is_beside() else []
            if run_pid() in ("", str(os.getpid())):
                for problem in [*settings.problems, *refused]:
                    containment.say(problem)
            if refused or not settings.enabled:
                return
            # Now, to be called last: what the program does in its own exit handlers is sent too.
            atexit.register(_leave)
            watcher = import_hook.Watcher(_begin)
            sys.meta_path.insert(0, watcher)
            watcher.watch({**registry.PATCHES, **registry.named(settings.dbapi)}, settings.disabled_patches)
            if embedding:
                embedding.look_out(watcher)
    except Exception:
        containment.contained("activation")


def _begin() -> bool:
    """Import the tracer and the exporter's pipeline and join them, once. False: they cannot run here; said once."""
    global _begun, _beginning
    with _lock:
        if _begun is not None or _beginning:
            return _begun is not False
        _beginning = True
        try:
            __import__("autotrace.tracing.tracer", fromlist=["register"]).register()
            __import__("autotrace.export.pipeline", fromlist=["begin"]).begin(settings)
            _begun = True
        except Exception as failure:
            _begun = False
            containment.failures["tracing"] = (1, f"{type(failure).__name__}: {failure}")
            containment.say(f"cannot trace here, the program runs without: {type(failure).__name__}: {failure}")
        finally:
            _beginning = False
    if _begun and watcher is not None and settings is not None:
        watcher.watch(registry.CARRIERS, settings.disabled_patches)
    return _begun


def _leave() -> None:
    if _begun:
        sys.modules["autotrace.export.pipeline"].leave()
