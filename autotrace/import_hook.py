"""The import watcher: hears when a library of registry.PATCHES has been imported, and applies its patch. Standard library only."""

from __future__ import annotations

import sys
from _thread import get_ident

from autotrace.containment import contained
from autotrace.registry import DISABLED, NOT_IMPORTED, ON, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class Watcher:
    """A meta path finder that lets all other finders find, and only hears when a watched module has run.

    `begin` is called before the first patch is applied; where it returns False nothing is patched.
    """

    def __init__(self, begin: Callable[[], bool]) -> None:
        self.begin = begin
        self.watched: dict[str, tuple[str, str]] = {}
        self.busy: set[tuple[int, str]] = set()
        self.asked: Callable[[str], None] | None = None
        """Hears of every module that is asked for and not there yet, before it is searched for. Never raises."""

    def watch(self, patches: dict[str, dict[str, str]], disabled: Sequence[str]) -> None:
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
            # One that is being imported at this moment is applied by nobody: its loader is already running. Rare enough.
            if not getattr(getattr(module_, "__spec__", None), "_initializing", False):
                self.imported(name, module_)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self.asked is not None:
            self.asked(fullname)
        if fullname not in self.watched:
            return None
        key = (get_ident(), fullname)
        if key in self.busy:  # another watcher asks us while we ask it
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
        """A watched module has run: patch it. Never raises."""
        library, function = self.watched[name]
        try:
            if self.begin():
                states[library, name] = _apply(library, function, module)
        except Exception as failure:
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
    """Stands in for a module's loader until the module runs; then the real one is back in its place, and we hear of it.

    A mere probe (`importlib.util.find_spec`) gets one too and loses nothing: the next search makes another.
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
        if spec is not None and spec.loader is self:
            spec.loader = real
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = real
        real.exec_module(module)
        self._watcher.imported(module.__name__, sys.modules.get(module.__name__, module))


def _apply(library: str, function: str, module: ModuleType) -> str:
    # Names only: start-up imports neither the patches nor what they stand on.
    patching = __import__("autotrace.patching", fromlist=["Plan"])
    room, _, function = function.rpartition(":")
    patches = __import__(room or "autotrace.patches." + library.replace(".", "_"), fromlist=[function])
    plan = patching.Plan()
    try:
        getattr(patches, function)(module, plan)
        plan.apply()
    # Without a symbol it needs, it met another version, or another library of that name.
    except (patching.Unpatchable, AttributeError, ImportError) as reason:
        return f"refused: {reason}"
    return ON
