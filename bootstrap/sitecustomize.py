"""The folder for PYTHONPATH: activate autotrace, then run the sitecustomize that this file hides. For any Python."""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _enabled():
    value = os.environ.get("AUTOTRACE_ENABLED", "").strip().lower()
    if value:
        return value not in ("0", "false", "no", "off")
    disabled = os.environ.get("OTEL_SDK_DISABLED", "") or os.environ.get("JAEGER_DISABLED", "")
    return disabled.strip().lower() not in ("1", "true", "yes", "on")


def _say(text):
    """Print one line, unless this process is a child of the one that autotrace-run became."""
    if os.environ.get("AUTOTRACE_LOG") == "off":
        return
    if os.environ.get("AUTOTRACE_RUN_PID", str(os.getpid())) == str(os.getpid()):
        try:
            sys.stderr.write("autotrace: " + text + "\n")
        except Exception:
            pass


def _activate():
    if sys.version_info < (3, 10):
        _say(
            "Python %d.%d is not supported (3.10 or later is needed); the program runs without traces"
            % sys.version_info[:2]
        )
        return
    try:
        try:
            from autotrace.activation import activate
        except ImportError:
            bundle = _bundle()
            if bundle is None:
                raise
            sys.path.append(bundle)  # last, so that the program's own versions win
            from autotrace.activation import activate
        activate()
    except Exception as failure:
        _say(
            "autotrace cannot start in %s (%s: %s); the program runs without traces"
            % (sys.executable, type(failure).__name__, failure)
        )


def _bundle():
    """The folder that `pip install --target` put this one into. None for another environment's site-packages."""
    root = os.path.dirname(os.path.dirname(_here))
    if os.path.basename(root) in ("site-packages", "dist-packages"):
        return None
    return root if os.path.isfile(os.path.join(root, "autotrace", "activation.py")) else None


def _run_hidden():
    """Run the sitecustomize that Python finds without this folder, under its name. Its errors are the program's."""
    finders = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") == "PathFinder"]
    if not finders:  # Python 2
        return
    spec = finders[0].find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    import importlib.util

    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


# The program sees the sys.path that it would have without autotrace.
sys.path[:] = [_entry for _entry in sys.path if os.path.abspath(_entry) != _here]
if _enabled():
    _activate()
_run_hidden()
