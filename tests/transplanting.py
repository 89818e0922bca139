"""Put other source code into a module that others have imported: its functions and classes stay the same objects."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np


def replace(module: types.ModuleType, code: types.CodeType) -> None:
    """Give the functions of a module, and its constants, what other source code makes of them."""
    new = types.ModuleType(module.__name__)
    new.__dict__.update({k: v for k, v in vars(module).items() if k.startswith("__")})
    exec(code, new.__dict__)  # noqa: S102
    made = {id(v): vars(module)[k] for k, v in vars(new).items() if isinstance(v, (type, types.FunctionType))
            and v.__module__ == module.__name__ and k in vars(module)}

    def translated(value: Any) -> Any:  # a table's functions and classes stay the ones that everybody has
        if isinstance(value, dict):
            return {k: translated(v) for k, v in value.items()}
        return made.get(id(value), value)

    for name, value in vars(new).items():
        if name in vars(module) and not name.startswith("__"):
            old = vars(module)[name]
            if id(value) in made:
                transplant(vars(module), name, old, value)
            elif isinstance(old, dict):
                old.clear()
                old.update(translated(value))
            elif isinstance(value, (int, float, str, tuple, frozenset)) and value != old:
                for other in list(sys.modules.values()):
                    if getattr(other, "__name__", "").startswith("npgradcam") and vars(other).get(name) is old:
                        setattr(other, name, value)


def transplant(holder: Any, name: str, old: Any, new: Any) -> None:
    """Make `old`, a function or a class that stays itself, do what `new` does."""
    if isinstance(old, type):
        for key, value in vars(new).items():
            was = vars(old).get(key)
            if key == "__dataclass_fields__":  # the defaults, as dataclasses.fields tells them
                setattr(old, key, value)
            elif key not in ("__dict__", "__weakref__", "__doc__", "__module__", "__abstractmethods__"):
                transplant(old, key, was, value)
        return
    for inner in ("fget", "__func__", "func", "__wrapped__"):
        if hasattr(old, inner) and hasattr(new, inner):
            transplant(holder, name, getattr(old, inner), getattr(new, inner))
            return
    if not isinstance(old, types.FunctionType) or not isinstance(new, types.FunctionType):
        if isinstance(holder, type) and isinstance(new, (int, float, str, tuple, type(None), np.ufunc)) and new != old:
            setattr(holder, name, new)
        return
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
    if old.__code__.co_freevars == new.__code__.co_freevars:
        old.__code__ = new.__code__
    else:  # it no longer says super(), say
        cells = dict(zip(old.__code__.co_freevars, old.__closure__ or (), strict=True))
        closure = tuple(cells[name] for name in new.__code__.co_freevars)
        changed = types.FunctionType(new.__code__, old.__globals__, name, new.__defaults__, closure)
        setattr(holder, name, changed) if isinstance(holder, type) else holder.update({name: changed})
