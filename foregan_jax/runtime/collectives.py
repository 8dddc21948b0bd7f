"""What a compiled program sends between devices."""

import collections
import math
import re

_BYTES = {
  "pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4,
  "f32": 4, "s64": 8, "u64": 8, "f64": 8,
}  # fmt: skip
_INSTRUCTION = re.compile(
  r"= (\S.*?) (all-reduce|all-gather|all-to-all|collective-permute|"
  r"reduce-scatter)(?:-start)?\("
)
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


def count_bytes(text: str) -> dict[str, int]:
  """Return the bytes that a device receives, by the kind of operation.

  Args:
    text: of a compiled program, `program.as_text()`. Bodies of loops count
      once.
  """
  total: dict[str, int] = collections.Counter()
  for shapes, kind in _INSTRUCTION.findall(text):
    for dtype, dims in _ARRAY.findall(shapes):
      size = math.prod(int(n) for n in dims.split(",") if n)
      total[kind] += size * _BYTES[dtype]
  return total
