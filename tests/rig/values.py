"""Property values between the engine's wire form (a protobuf Struct) and plain Python.

Secrets never arrive: the stand-ins do not accept them, so the engine unwraps them and marks outputs of the same name
as secret by itself, which is what the real plug-ins' default flow of secretness amounts to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import struct_pb2

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What stands for a value that is not known during a preview (the SDK's `UNKNOWN`)."""
SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key that tells a special object (asset, archive, ...) from a plain one."""
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

Value = Any
Properties = dict[str, Value]


def decode(wire: struct_pb2.Struct) -> Properties:
    """A Struct as plain Python; numbers without a fraction become integers, nulls are left out of objects."""
    return {key: _decode(value) for key, value in wire.fields.items() if value.WhichOneof("kind") != "null_value"}


def _decode(value: struct_pb2.Value) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return decode(value.struct_value)
    if kind == "list_value":
        return [_decode(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return None if kind in (None, "null_value") else getattr(value, kind)


def encode(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Plain Python as a Struct."""
    wire = struct_pb2.Struct()
    wire.update(properties)
    return wire


def contains_unknown(value: Value) -> bool:
    """Whether any part of the value is not known yet."""
    if isinstance(value, dict):
        return any(map(contains_unknown, value.values()))
    if isinstance(value, list):
        return any(map(contains_unknown, value))
    return bool(value == UNKNOWN)


def differences(old: Value, new: Value, path: str = "") -> Iterator[tuple[str, str]]:
    """The paths at which two values differ, each with `add`, `delete` or `update`, in the engine's notation.

    An asset or archive is one value, told by its hash: where it lies on disk is no difference.
    """
    if isinstance(old, dict) and isinstance(new, dict) and SIGNATURE not in old and SIGNATURE not in new:
        for key in sorted(old.keys() | new.keys()):
            step = _step(path, key)
            if key not in old:
                yield step, "add"
            elif key not in new:
                yield step, "delete"
            else:
                yield from differences(old[key], new[key], step)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            step = f"{path}[{index}]"
            if index >= len(old):
                yield step, "add"
            elif index >= len(new):
                yield step, "delete"
            else:
                yield from differences(old[index], new[index], step)
    elif _comparable(old) != _comparable(new):
        yield path, "update"


def _step(path: str, key: str) -> str:
    if key.replace("_", "a").isalnum():
        return f"{path}.{key}" if path else key
    return f'{path}["{key}"]'


def _comparable(value: Value) -> Value:
    if isinstance(value, dict) and value.get("hash"):
        return value["hash"]
    return value
