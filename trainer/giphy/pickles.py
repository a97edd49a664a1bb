"""A machine that reads pickles and can do nothing but build plain values.

A pickle is a program for a stack machine, and Python's own machine lets it call what it likes. This one knows the
instructions that a saved state dict needs, and four names: ``collections.OrderedDict``, which becomes a dict, the two
functions by which PyTorch rebuilds a tensor, which become a description of it, and the classes of storages, which
become a dtype. It imports nothing and calls nothing that the pickle names; anything else ends it with an error.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np

from annotator.errors import ModelError

MAX_PICKLE_BYTES: Final = 2 * 1024 * 1024
"""Of one pickle, without the numbers of its tensors: a ResNet-50 with its optimiser's state has about 0.1 MB. A
byte may cost a hundred of memory."""

MAX_ELEMENTS: Final = 1 << 40
"""No size, offset or stride of a tensor is larger."""

MAX_AXES: Final = 8

_MAX_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers that one or several tensors look at.

    Attributes:
        key: its name in the checkpoint.
        dtype: of the numbers, little-endian.
        elements: how many the checkpoint says there are.
        first: where the view begins that tensors count from, in elements.

    """

    key: str
    dtype: "np.dtype[Any]"
    elements: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that lies in a checkpoint: where its numbers are, and how they are laid out.

    Attributes:
        storage: where its numbers are.
        offset: of the first one, in elements.
        shape: its axes.
        strides: from one number to the next along each axis, in elements.

    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """Stands for what a pickle names; never the thing itself."""

    path: str


_ORDERED_DICT: Final = "collections.OrderedDict"
_REBUILD: Final[Mapping[str, tuple[int, ...]]] = {
    "torch._utils._rebuild_tensor": (4,),
    "torch._utils._rebuild_tensor_v2": (6, 7),
}
"""The functions that rebuild a tensor, and how many arguments they take. The first is that of PyTorch before 0.4."""

_DTYPES: Final[Mapping[str, str]] = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
_ADMITTED: Final = frozenset({_ORDERED_DICT, *_REBUILD, *_DTYPES})


def read_pickle(stream: BinaryIO, *, limit: int = MAX_PICKLE_BYTES) -> Any:  # noqa: ANN401 - it holds what it holds
    """Read one pickle; the stream then stands behind it.

    Args:
        stream: read as far as the pickle goes.
        limit: how many bytes it may have.

    Returns:
        Plain values: dicts, lists, tuples, strings, numbers, and :class:`StoredTensor` for tensors.

    Raises:
        ModelError: it wants more than that, is broken, or longer than the limit.

    """
    machine = _Machine()
    try:
        # genops takes the stream for one that it only reads from, byte for byte.
        for instruction, argument, _ in pickletools.genops(_Bounded(stream, limit)):  # type: ignore[arg-type]
            if instruction.name == "STOP":
                return machine.result()
            _ACTIONS.get(instruction.name, _refuse(instruction.name))(machine, argument)
    except ModelError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise ModelError(f"the checkpoint's pickle is broken ({shown(str(error))}): fetch the file again") from error
    raise ModelError("the checkpoint's pickle has no end: fetch the file again")


def shown(text: str) -> str:
    """Return foreign text so that it can stand in a message: short, and on one line."""
    return ascii(text[:_MAX_SHOWN])[1:-1]


class _Bounded:
    """A stream of which only so much can be read; asked for more, it refuses before any memory is taken."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._left = stream, limit

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise ModelError("the checkpoint's pickle is larger than a network's can be: refused")
        content = self._stream.read(size)
        self._left -= len(content)
        return content

    def readline(self) -> bytes:
        line = self._stream.readline(self._left)
        self._left -= len(line)
        return line


class _Machine:
    """The stack, the stacks below the marks, and what was put aside under a number."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:  # noqa: ANN401 - as above
        if len(self.stack) != 1 or self.below:
            raise ModelError("the checkpoint's pickle is broken (it ends in the middle): fetch the file again")
        return self.stack.pop()

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def take(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        taken = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return taken

    def put_aside(self, number: int | None) -> None:
        self.memo[len(self.memo) if number is None else number] = self.stack[-1]

    def append(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        held = self._top(dict)
        keys, values = items[::2], items[1::2]
        if len(keys) != len(values) or not all(isinstance(key, (str, int)) for key in keys):
            raise ModelError("the checkpoint's pickle has a dictionary whose keys are no names: refused")
        held.update(zip(keys, values, strict=True))

    def name(self, path: str) -> None:
        if path not in _ADMITTED:
            raise ModelError(f"the checkpoint's pickle wants {shown(path)}: refused, it holds more than tensors")
        self.push(_Name(path))

    def name_from_stack(self, _: object) -> None:
        module, name = self.take(2)
        self.name(f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "what is no name")

    def reduce(self, _: object) -> None:
        name, arguments = self.take(2)
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise ModelError("the checkpoint's pickle calls what is no function: refused, it holds more than tensors")
        if name.path == _ORDERED_DICT and arguments == ():
            self.push({})
        elif len(arguments) in _REBUILD.get(name.path, ()):
            self.push(_tensor(*arguments[:4]))
        else:
            raise ModelError(f"the checkpoint's pickle calls {name.path} in a way that no tensor needs: refused")

    def build(self, _: object) -> None:
        """Take the state of an ordered dictionary, which holds the versions of layers, and drop it."""
        (state,) = self.take(1)
        self._top(dict)
        if not isinstance(state, dict) or state.keys() - {"_metadata"}:
            raise ModelError("the checkpoint's pickle sets more than the versions of layers: refused")

    def storage(self, _: object) -> None:
        (described,) = self.take(1)
        self.push(_storage(described))

    def _top(self, kind: type) -> Any:  # noqa: ANN401 - as above
        if type(self.stack[-1]) is not kind:
            raise ModelError(f"the checkpoint's pickle fills what is no {kind.__name__}: refused")
        return self.stack[-1]


def _storage(described: object) -> Storage:
    """Read ``("storage", class, key, device, elements)``; the legacy form has a sixth value, a view or None."""
    if not isinstance(described, tuple) or len(described) not in (5, 6):
        raise ModelError("the checkpoint's pickle refers to what is no storage: refused")
    kind, name, key, device, elements, view = (*described, None)[:6]
    if kind != "storage" or not isinstance(key, str) or not isinstance(device, str):
        raise ModelError("the checkpoint's pickle refers to what is no storage: refused")
    if not isinstance(name, _Name) or name.path not in _DTYPES:
        raise ModelError("the checkpoint's pickle has a storage of a kind that is not read: refused")
    first = 0
    if view is not None:
        if not isinstance(view, tuple) or len(view) != 3:
            raise ModelError("the checkpoint's pickle refers to what is no view of a storage: refused")
        first = _size(view[1])
    return Storage(key, np.dtype(_DTYPES[name.path]), _size(elements), first)


def _tensor(storage: object, offset: object, shape: object, strides: object) -> StoredTensor:
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ModelError("the checkpoint's pickle rebuilds a tensor from what is no storage: refused")
    if len(shape) != len(strides) or len(shape) > MAX_AXES:
        raise ModelError("the checkpoint's pickle has a tensor whose strides do not fit its shape: refused")
    return StoredTensor(storage, _size(offset), tuple(map(_size, shape)), tuple(map(_size, strides)))


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_ELEMENTS:
        raise ModelError(f"the checkpoint's pickle has {shown(repr(value))} where a size must stand: refused")
    return value


def _refuse(instruction: str) -> Callable[[_Machine, Any], None]:
    def act(_: _Machine, __: object) -> None:
        raise ModelError(f"the checkpoint's pickle uses {instruction}: refused, it holds more than tensors")

    return act


def _push_argument(machine: _Machine, argument: Any) -> None:  # noqa: ANN401 - what an instruction carries
    machine.push(argument)


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(machine.take(count))


_ACTIONS: Final[Mapping[str, Callable[[_Machine, Any], None]]] = {
    "PROTO": lambda machine, _: None,  # noqa: ARG005 - nothing depends on the protocol
    "FRAME": lambda machine, _: None,  # noqa: ARG005 - only tells how to read ahead
    "MARK": _Machine.mark,
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _push_argument),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE"), _push_argument),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": lambda machine, _: machine.append(list(machine.take(1))),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(list(machine.take(2))),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "MEMOIZE": _Machine.put_aside,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put_aside),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, number: machine.push(machine.memo[number])),
    "GLOBAL": lambda machine, path: machine.name(path.replace(" ", ".", 1)),
    "STACK_GLOBAL": _Machine.name_from_stack,
    "BINPERSID": _Machine.storage,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
"""What each instruction does; one that is not here is refused."""
