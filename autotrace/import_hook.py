"""The import watcher: applies a library's patch once its module has been imported. Standard library only.

own_imports.py says where modules come from that autotrace itself imports.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from autotrace import own_imports
from autotrace.containment import contained, reraise_interruption
from autotrace.registry import DISABLED, NOT_IMPORTED, ON, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class Watcher:
    """A meta path finder that leaves the search to all other finders, and is called when a watched module has run.

    `start` is called before each patch. If it returns False, the module waits for patch_pending(): another thread is
    starting tracing at this moment. That thread is not waited for, because it may need a module whose import lock this
    thread holds.
    """

    def __init__(self, start: Callable[[], bool]) -> None:
        own_imports.keep_loaded()
        self.start = start
        self.watched: dict[str, tuple[str, str]] = {}
        self.busy: set[tuple[int, str]] = set()
        self.pending: list[tuple[str, ModuleType]] = []
        self.asked: Callable[[str], None] | None = None
        """Called with the name of every module that is not imported yet, before it is searched. Never raises."""

    def watch(self, patches: dict[str, dict[str, str]], disabled: Sequence[str]) -> None:
        """Patch these modules once they are imported, and at once if they are already."""
        added = []
        for library, modules in patches.items():
            for module, function in modules.items():
                if library in disabled or library.split(".")[0] in disabled:
                    states[library, module] = DISABLED
                    continue
                states.setdefault((library, module), NOT_IMPORTED)
                self.watched[module] = (library, function)
                added.append(module)
        for name in [name for name in added if name in sys.modules]:
            module_ = sys.modules[name]
            # A module that another thread is importing at this moment stays unpatched, because its loader runs already.
            if not getattr(getattr(module_, "__spec__", None), "_initializing", False):
                self.imported(name, module_)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self.asked is not None:
            self.asked(fullname)
        if fullname not in self.watched:
            return own_imports.find_spec(fullname, path)
        key = (get_ident(), fullname)
        if key in self.busy:  # another watcher asks this one, which is just asking it
            return None
        self.busy.add(key)
        try:
            spec = _ask_others(self, fullname, path, target)
        finally:
            self.busy.discard(key)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def imported(self, name: str, module: ModuleType) -> None:
        """Patch a watched module that has run. Raises nothing of its own."""
        self.pending.append((name, module))
        try:
            if self.start():
                self.patch_pending()
        except Exception:
            contained("the start of tracing")
        finally:
            own_imports.settle()

    def patch_pending(self) -> None:
        """Patch what has been imported until now. Each module is taken by one thread."""
        while self.pending:
            try:
                name, module = self.pending.pop(0)
            except IndexError:  # another thread was faster
                return
            self._patch(name, module)

    def _patch(self, name: str, module: ModuleType) -> None:
        library, function = self.watched[name]
        try:
            states[library, name] = _apply(library, function, module)
        except Exception as failure:
            reraise_interruption()
            states[library, name] = f"failed: {type(failure).__name__}: {failure}"
            contained(f"the patch of {library}")


def _ask_others(
    watcher: Watcher, fullname: str, path: Sequence[str] | None, target: ModuleType | None
) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        find = None if finder is watcher else getattr(finder, "find_spec", None)
        if find is not None:
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                return spec
    return None


class _Loader:
    """Replaces a module's loader until the module runs. The module itself sees its real loader.

    A mere probe (`importlib.util.find_spec`) does not use the patch up, because each search makes a new one of these.
    """

    def __init__(self, real: Any, watcher: Watcher) -> None:
        self._real = real
        self._watcher = watcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._real, "create_module", None)
        module: ModuleType | None = create(spec) if create is not None else None
        return module

    def exec_module(self, module: ModuleType) -> None:
        real: Any = self._real
        spec: Any = module.__spec__
        name = module.__name__ if spec is None else spec.name  # gevent's C modules rename themselves while they run
        if spec is not None and spec.loader is self:
            spec.loader = real
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = real
        real.exec_module(module)
        self._watcher.imported(name, sys.modules.get(name, module))


def _apply(library: str, function: str, module: ModuleType) -> str:
    # By name, because start-up imports neither the patches nor the core.
    patching = __import__("autotrace.patching", fromlist=["Plan"])
    module_name, _, function = function.rpartition(":")
    patches = __import__(module_name or "autotrace.patches." + library.replace(".", "_"), fromlist=[function])
    plan = patching.Plan()
    try:
        getattr(patches, function)(module, plan)
        plan.apply()
    except patching.Unpatchable as reason:
        return f"refused: {reason}"
    except (AttributeError, ImportError) as reason:
        reraise_interruption()
        if not _is_of_another(reason):
            raise
        return f"refused: {reason}"
    return ON


def _is_of_another(error: AttributeError | ImportError) -> bool:
    """Does a library lack the name, as another version, or another library of that name? Otherwise the
    fault is ours.
    """
    if isinstance(error, ImportError):
        owner = error.name
    else:
        owner = getattr(error.obj, "__module__", None) or getattr(error.obj, "__name__", None)
        owner = owner if isinstance(owner, str) else type(error.obj).__module__
    return (owner or "").partition(".")[0] not in ("", "autotrace", "builtins")
