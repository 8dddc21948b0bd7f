"""Write the golden values of this folder: outputs of our own code.

They were made when all tests against the original implementations passed:
`tests/nets/test_parity.py`, `tests/nets/test_propagator.py`,
`tests/metrics/test_davis.py` and `tests/layers/test_flow_golden.py`, with the
data in `../shared/data`. So a run without that data compares with the originals
indirectly. Keep this true: run this script only where those tests pass and none
is skipped, and only if the outputs change on purpose.

    JAX_PLATFORMS=cpu python -m tests.golden.make
"""

import json

import numpy as np

from tests.golden import cases, masks


def main():
  outputs = {}
  for name in cases.CASES:
    outputs |= cases.compute(name)
  np.savez_compressed(cases.PATH, **outputs)
  scores = {f"{h}x{w}": masks.scores((h, w)) for h, w in masks.SIZES}
  masks.PATH.write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
  main()
