"""A run that was trained: its config, its system, its parameters."""

import functools
import pathlib
from typing import Any

import jax

from foregan_jax import systems
from foregan_jax.runtime import checkpoints, settings


class Run:
  """What a workdir holds.

  Attributes:
    workdir: absolute.
    config: as the run was started; fields may be changed before `system`.
  """

  def __init__(self, workdir: str | pathlib.Path):
    """Reads the run's config.

    Raises:
      ValueError: if there is no such run.
    """
    self.workdir = pathlib.Path(workdir).absolute()
    self.config = settings.load(self.workdir / settings.FILE)

  @functools.cached_property
  def system(self):
    """The run's `game.System`.

    Raises:
      ValueError: if the config lacks a key, being another version's.
    """
    try:
      return systems.build(self.config)
    except AttributeError as error:
      raise ValueError(
        f"{self.workdir / settings.FILE} is not of this version: {error}"
      ) from error

  def steps(self, which: str) -> list[int]:
    """Returns the checkpoints named by `all`, `best`, `latest` or a number.

    Raises:
      ValueError: if there is none.
    """
    return checkpoints.pick_steps(self._directory, which, best="J")

  def params(self, step: int) -> dict[str, Any]:
    """Returns the parameters to judge by, averaged where there are any.

    By net, on the host; every item of the checkpoint is read, weights only.
    """
    shapes = self._shapes
    averaged = self.config.ema_nets if self.config.ema_decay else ()
    wanted = {}
    for item, nets in self.system.checkpoint_items.items():
      wanted[item] = {"params": {net: shapes[net] for net in nets}}
      ema = {net: shapes[net] for net in nets if net in averaged}
      if ema:
        wanted[item]["ema"] = ema
    items = checkpoints.load_items(
      self._directory, step, wanted, unread=checkpoints.ALL_BUT_WEIGHTS
    )
    params = {}
    for tree in items.values():
      params |= tree["params"] | tree.get("ema", {})
    return jax.device_get(params)

  @property
  def _directory(self) -> pathlib.Path:
    return self.workdir / "checkpoints"

  @functools.cached_property
  def _shapes(self) -> dict[str, Any]:
    spec = self.system.batch_spec(self.config.batch_size)
    params, _ = jax.eval_shape(self.system.init, jax.random.key(0), spec)
    return params
