"""Runs a script as Argo CD does: Lua 5.1 with `obj` in place, and of the libraries only the basic one and `table`."""

from __future__ import annotations

from typing import Any

from lupa.lua51 import LuaRuntime, lua_type

ABSENT = ("string", "math", "io", "os", "debug", "coroutine", "package", "require", "python")


def run(script: str, subject: dict[str, Any]) -> Any:
    """What the script returns for an object. Raises lupa's LuaError with the line that failed."""
    runtime = LuaRuntime(register_eval=False, register_builtins=False)
    runtime.execute("getmetatable('').__index = nil; " + "; ".join(f"{name} = nil" for name in ABSENT))
    runtime.globals().obj = _into(runtime, subject)
    return _out_of(runtime.execute(script))


def _into(runtime: LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from(
            {key: _into(runtime, entry) for key, entry in value.items() if entry is not None}
        )
    if isinstance(value, list):
        return runtime.table_from([_into(runtime, entry) for entry in value])
    return value


def _out_of(value: Any) -> Any:
    if lua_type(value) != "table":
        return value
    entries = dict(value.items())
    if entries and set(entries) == set(range(1, len(entries) + 1)):
        return [_out_of(entries[number]) for number in range(1, len(entries) + 1)]
    return {key: _out_of(entry) for key, entry in entries.items()}
