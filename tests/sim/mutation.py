"""Takes a defence out of the code: a piece of a function's source is replaced and the function compiled anew.

The piece must be there exactly once, so that a defence that moves makes its test fail instead of proving nothing.
"""

import inspect
import sys
import textwrap
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest

PREFIXES = ("authnet_core.protocol.dkg", "p2p_dkg.network", "tests.sim")


@dataclass(frozen=True)
class Edit:
    """`target` is module:function or module:Class.method; modules without a dot are of authnet_core.protocol.dkg."""

    target: str
    old: str
    new: str


def apply_edit(edit: Edit, patch: pytest.MonkeyPatch) -> None:
    """The edited function takes the original's place wherever a module has it by name."""
    module_name, _, path = edit.target.partition(":")
    module = import_module(module_name if "." in module_name else f"{PREFIXES[0]}.{module_name}")
    owner_name, _, name = path.rpartition(".")
    owner: Any = getattr(module, owner_name) if owner_name else module
    found = inspect.getattr_static(owner, name)
    original: FunctionType = found.fget if isinstance(found, property) else found
    edited = _compile(original, edit, module.__dict__)
    if owner_name:
        patch.setattr(owner, name, property(edited) if isinstance(found, property) else edited)
        return
    for other in list(sys.modules.values()):
        if other.__name__.startswith(PREFIXES) and other.__dict__.get(name) is original:
            patch.setattr(other, name, edited)


def _compile(original: FunctionType, edit: Edit, scope: dict[str, Any]) -> Any:
    source = textwrap.dedent(inspect.getsource(original))
    if source.count(edit.old) != 1:
        raise LookupError(f"{edit.target} has {source.count(edit.old)} times {edit.old!r}")
    lines = source.replace(edit.old, edit.new).splitlines()
    while not lines[0].startswith("def "):  # decorators
        lines.pop(0)
    made: dict[str, Any] = {}
    exec(compile("\n".join(lines), f"<{edit.target} without a defence>", "exec"), scope, made)
    return made[original.__name__]
