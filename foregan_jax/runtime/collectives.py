"""What the devices of a compiled program exchange."""

import collections
import math
import re

_BYTES = {
  "pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4,
  "f32": 4, "s64": 8, "u64": 8, "f64": 8,
}  # fmt: skip
# On GPUs an operation has two instructions, NAME-start and NAME-done; the type
# of the first one has the operands, too.
_INSTRUCTION = re.compile(
  r"= (\S.*?) (all-reduce|all-gather|all-to-all|collective-permute|"
  r"reduce-scatter)(?:-done)?\("
)
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


def count_bytes(text: str) -> dict[str, int]:
  """Return the size of the results of collective operations, by their kind.

  Args:
    text: of a compiled program for one device, `program.as_text()`. Bodies of
      loops count once.

  Raises:
    ValueError: if a result has an unknown type.
  """
  total: dict[str, int] = collections.defaultdict(int)
  for shapes, kind in _INSTRUCTION.findall(text):
    for dtype, dims in _ARRAY.findall(shapes):
      if dtype not in _BYTES:
        raise ValueError(f"the size of {dtype} is unknown")
      size = math.prod(int(n) for n in dims.split(",") if n)
      total[kind] += size * _BYTES[dtype]
  return total
