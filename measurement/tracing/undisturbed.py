"""Examine a network, and leave it unchanged: whatever its own code does is undone, also after an error."""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lmos_opt.errors import THEIR_ERRORS, first_line
from measurement.errors import UntraceableError
from measurement.tracing.stored import TABLES

_CONTAINERS = (dict, OrderedDict, defaultdict, list, set, deque)
_DEEPEST = 4
"""The depth to which containers and objects inside each other are examined."""
_LARGEST = 10_000
"""Containers of more items are kept, but what is inside their items is not."""
_LONGEST_NAME = 400


@contextmanager
def undisturbed(module: nn.Module, name: str | None = None) -> Iterator[Watch]:
    """Eval mode inside the block; afterwards the network is what it was, also where something was raised.

    That is: every attribute of every submodule, what is in its lists and dictionaries and in objects that it holds (hooks
    among them), modes, gradients, the numbers of parameters and buffers, and the generators of random numbers of torch,
    Python and numpy. Raises UntraceableError for a network that cannot be looked at, and says what to do.
    """
    name = name or type(module).__name__
    check_usable(module, name)
    watch = Watch(module)
    states = (random.getstate(), np.random.get_state())  # noqa: NPY002 - it is the network that may use the old generator
    with torch.random.fork_rng(devices=[]):
        try:
            with watch:
                _to_eval(module, name)
            if changed := watch.changed():
                raise UntraceableError(name, [f"its eval() changes {changed}; call eval() on it first"])
            yield watch
        finally:
            watch.restore()
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


def generators() -> tuple[object, ...]:
    """The states of torch's, Python's and numpy's generators of random numbers: others after somebody has drawn some."""
    of_numpy: Any = np.random.get_state()  # noqa: NPY002 - as above
    return bytes(torch.get_rng_state().numpy()), random.getstate(), bytes(of_numpy[1]), of_numpy[2]


def check_usable(module: nn.Module, name: str) -> None:
    """Raises UntraceableError for a network that torch cannot examine in its present state. The message says what to do."""
    parts = [("", module)]
    seen = {id(module)}
    for path, part in parts:  # which grows meanwhile
        where = f"its part {path!r}" if path else "it"
        if isinstance(part, torch.jit.ScriptModule):
            raise UntraceableError(name, [f"{where} is a TorchScript module ({type(part).__name__}), whose operations cannot be "
                                          "seen; use the nn.Module that it was scripted from"])  # fmt: skip
        if not all(isinstance(vars(part).get(table), dict) for table in (*TABLES, "_modules")):
            raise UntraceableError(name, [f"{where} is a {type(part).__name__} that was not made ready; its __init__ must call "
                                          "super().__init__() first"])  # fmt: skip
        _check_state(path, where, part, name)
        for key, child in part._modules.items():
            if not key.isprintable() or len(path) + len(key) > _LONGEST_NAME:
                raise UntraceableError(name, [f"{where} calls a part {key[:80]!r}; expected printable text, paths of no more than "
                                              f"{_LONGEST_NAME} characters: rename it"])  # fmt: skip
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                parts.append((f"{path}.{key}" if path else key, child))
        _check_method(where, part, "extra_repr", str, name)
    for method in ("named_parameters", "named_buffers", "named_modules", "state_dict"):  # these go through the parts themselves
        _check_method("it", module, method, dict, name)


def _check_method(where: str, part: nn.Module, method: str, holds: Callable[[Any], object], name: str) -> None:
    try:
        holds(getattr(part, method)())
    except THEIR_ERRORS as error:  # a class of somebody's may have its own
        raise UntraceableError(name, [f"{where} has a method {method} that fails: {first_line(error)}; leave torch's own"]
                               ) from error  # fmt: skip


def _check_state(path: str, where: str, part: nn.Module, name: str) -> None:
    for table in TABLES:
        for key, tensor in vars(part)[table].items():
            if tensor is not None and is_lazy(tensor):
                kind = type(part).__name__ if isinstance(part, LazyModuleMixin) else "lazy module"
                raise UntraceableError(name, [f"{where} is a {kind} that has no weights yet; run the network once on an example "
                                              "first"])  # fmt: skip
            if tensor is not None and (tensor.layout is not torch.strided or tensor.is_nested):
                kind = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
                tensor_name = f"{path}.{key}" if path else key
                raise UntraceableError(name, [f"{tensor_name} is a tensor of layout {kind}; make it dense first (to_dense())"])


def to_eval(module: nn.Module) -> nn.Module:
    """The module in eval mode. One whose own `eval` or `train` raises is put there part by part, as torch's would do it."""
    if any(getattr(part, "training", True) for part in module.modules()):
        try:
            module.eval()
        except THEIR_ERRORS:  # the network's own code may raise anything
            for part in module.modules():
                part.training = False
    return module


def _to_eval(module: nn.Module, name: str) -> None:
    try:
        to_eval(module)
    except THEIR_ERRORS as error:  # the same
        raise UntraceableError(name, [f"it cannot be put into eval mode: {first_line(error)}; call eval() on it first"]) from error


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The state of a network. While active as a context, it also keeps tensors that the network's code will overwrite."""

    supports_higher_order_operators = True

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kept = Kept(module)
        self._names: dict[int, str] = {}
        self._overwritten: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._tensors: list[tuple[Tensor, Tensor, Tensor | None, bool]] = []
        self._tables: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        for path, part in module.named_modules():
            prefix = f"{path}." if path else ""
            for table in TABLES:
                live = vars(part)[table]
                self._tables.append((prefix, live, dict(live)))
                for key, tensor in live.items():
                    if tensor is not None:
                        self._names.setdefault(_storage(tensor), prefix + key)
                        self._tensors.append((tensor, tensor.data, tensor.grad, tensor.requires_grad))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        schema = getattr(func, "_schema", None)
        if schema is not None and schema.is_mutable:
            for k, argument in enumerate(schema.arguments):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    for tensor in tree_leaves(args[k] if k < len(args) else kwargs.get(argument.name)):
                        if isinstance(tensor, Tensor):
                            self._keep_numbers(tensor)
        return func(*args, **kwargs)

    def _keep_numbers(self, tensor: Tensor) -> None:
        place = _storage(tensor)
        if place in self._names and place not in self._overwritten:
            storage = tensor.untyped_storage()
            self._overwritten[place] = (storage, storage if tensor.is_meta else storage.clone())  # type: ignore[no-untyped-call]

    def changed(self) -> str:
        """The first parameter or buffer that was overwritten or replaced so far; empty if none was."""
        for place in self._overwritten:
            return self._names[place]
        for prefix, live, before in self._tables:
            for key in {**before, **live}:
                if live.get(key) is not before.get(key):
                    return prefix + key
        swapped = (_storage(data) for tensor, data, _, _ in self._tensors if _storage(tensor) != _storage(data))
        return next((self._names[place] for place in swapped), "")

    @property
    def altered(self) -> str:
        """The first attribute that is another one, or holds another thing or other numbers, than before; empty if there is none."""
        return self._kept.altered

    def restore(self) -> None:
        """Make the network what it was."""
        self._kept.restore()
        with torch.no_grad():
            for storage, before in self._overwritten.values():
                if storage is not before:
                    storage.copy_(before)
            for tensor, data, grad, requires_grad in self._tensors:
                if _storage(tensor) != _storage(data):
                    tensor.data = data
                if tensor.requires_grad != requires_grad:
                    tensor.requires_grad_(requires_grad)
                if tensor.grad is not grad:
                    tensor.grad = grad
            self._kept.restore_numbers()


class Kept:
    """A copy of a network's attributes, of the items of containers that they hold, and of the numbers of tensors that are no
    parameters. `restore` and `restore_numbers` fill the same objects again."""

    def __init__(self, module: nn.Module) -> None:
        self._contents: list[tuple[str, Any, Any]] = []
        self._numbers: list[tuple[str, Tensor, Tensor]] = []
        self._seen: dict[int, object] = {}
        for path, part in module.named_modules():
            self._keep(part, path, 0)

    def _keep(self, value: Any, where: str, depth: int) -> None:
        """Copy the content of this object or container, and of those inside it."""
        if id(value) in self._seen or depth > _DEEPEST:
            return
        if isinstance(value, Tensor):
            if not isinstance(value, nn.Parameter) and not value.is_meta and value.layout is torch.strided and not value.is_nested:
                self._seen[id(value)] = value
                self._numbers.append((where, value, value.detach().clone()))
            return
        if type(value) in _CONTAINERS:
            content = value
        elif (depth == 0 or _is_plain_object(value)) and isinstance(table := getattr(value, "__dict__", None), dict):
            content = table
        else:
            return
        self._seen[id(value)] = value  # kept alive, so that no other object gets its id
        self._contents.append((where, content, content.copy()))
        if len(content) <= _LARGEST:
            for key, item in list(content.items()) if isinstance(content, dict) else [("", item) for item in content]:
                self._keep(item, f"{where}.{key}".strip(".") if depth == 0 else where, depth + 1)

    @property
    def altered(self) -> str:
        """The first attribute that differs now; empty if there is none."""
        for where, live, before in self._contents:
            if _identities(live) == _identities(before):
                continue
            if not isinstance(live, dict):
                if not _are_equal([*live], [*before]):
                    return where
                continue
            for key in {**before, **live}:
                if key == "training":  # which eval() changes
                    continue
                if key not in before or key not in live or not _are_equal(live[key], before[key]):
                    return f"{where}.{key}".strip(".") if isinstance(key, str) else where
        return next((where for where, tensor, numbers in self._numbers if not _are_equal(tensor, numbers)), "")

    def restore(self) -> None:
        """Undo all changes, except those of numbers."""
        for _, live, before in self._contents:
            if _identities(live) != _identities(before):
                live.clear()
                (live.extend if isinstance(live, list | deque) else live.update)(before)

    def restore_numbers(self) -> None:
        """Undo changes of the numbers of tensors."""
        for _, tensor, numbers in self._numbers:
            if not torch.equal(tensor, numbers):
                tensor.data.copy_(numbers)


def _are_equal(now: Any, before: Any) -> bool:
    if now is before:
        return True
    if isinstance(now, Tensor) and isinstance(before, Tensor):
        return now.shape == before.shape and now.dtype == before.dtype and (now.is_meta or torch.equal(now, before))
    if isinstance(now, list | tuple) and type(now) is type(before):
        return len(now) == len(before) and all(map(_are_equal, now, before))
    return isinstance(now, int | float | str | bytes | None) and type(now) is type(before) and bool(now == before)


def _is_plain_object(value: object) -> bool:
    foreign = (nn.Module, Tensor, type, FunctionType, ModuleType, torch.ScriptObject)
    return not isinstance(value, foreign) and not callable(value)


def _identities(container: Any) -> object:
    if isinstance(container, dict):
        return [(id(key), id(value)) for key, value in container.items()]
    return {id(item) for item in container} if isinstance(container, set) else [id(item) for item in container]


def _storage(tensor: Tensor) -> int:
    try:
        return int(tensor.untyped_storage()._cdata)
    except NotImplementedError:  # a sparse tensor, which nothing of the network's is
        return 0
