"""A global batch for a number of devices, with its learning rates."""

import ml_collections
from absl import logging

# Powers of the batch's growth, by which learning rates are multiplied. linear:
# Goyal et al., arXiv 1706.02677, for SGD; sqrt: Malladi et al., arXiv
# 2205.10287, for Adam, which all our recipes use.
RULES = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}


def set_per_device(
  config: ml_collections.ConfigDict, per_device: int, devices: int, rule: str
) -> None:
  """Set a config's global batch by its share on each device.

  Args:
    config: changed in place: `batch_size`, and every learning rate by `rule`.
    per_device: rows of a batch on each device, at least 1.
    devices: number of devices of all processes.
    rule: one of `RULES`.

  Raises:
    ValueError: if the config's batch size is not positive.
  """
  if config.batch_size < 1:
    raise ValueError(f"batch_size is {config.batch_size}, expected 1 or more")
  batch_size = per_device * devices
  factor = (batch_size / config.batch_size) ** RULES[rule]
  for optim in config.optim.values():
    optim.learning_rate *= factor
  logging.info(
    "batch_size %d instead of %d, learning rates times %.3g",
    batch_size,
    config.batch_size,
    factor,
  )
  config.batch_size = batch_size
