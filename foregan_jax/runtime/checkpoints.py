"""Checkpoints: named Orbax items, written whole or not at all.

A step is a folder with one item per name (`gan`, `segmenter`, ...: trees of
arrays), `data` (state of the input pipeline), `config` and `checksums` (of the
arrays), all JSON. Each item can be read alone, on any number of devices or
processes; see `restore`.
"""

import os
from collections.abc import Mapping
from typing import Any

import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from foregan_jax.runtime import checksums, distributed, restore

_JSON_ITEMS = ("data", "config", restore.CHECKSUMS)
# A step that is not kept is first moved to this folder: deleting its files
# takes a while, and a killed run would leave a step that lacks items.
_DELETED = "deleted"


class Checkpoints:
  """The checkpoints of one run.

  It keeps the latest `keep` steps and the step with the best metric. Saving
  continues in the background; `wait` and `close` return when it has ended. In
  a run of several processes all of them must call every method.
  """

  def __init__(
    self,
    directory: str | os.PathLike,
    items: tuple[str, ...],
    *,
    keep: int,
    best: str | None,
    higher_is_better: bool = True,
    async_: bool = True,
  ):
    """Open the folder, or create it.

    Args:
      directory: folder of the steps; may be relative or a cloud address.
      items: names of the array trees.
      keep: how many of the latest steps to keep, at least 1.
      best: name of the metric whose best step is kept as well, or None.
      higher_is_better: whether the largest value of that metric is the best.
      async_: whether saving continues in the background.

    Raises:
      ValueError: if `keep` or the name of an item is not allowed.
    """
    if keep < 1:
      raise ValueError(f"keep is {keep}, but must be at least 1.")
    taken = sorted(set(items) & {*_JSON_ITEMS, restore.METRICS})
    if taken:
      raise ValueError(f"checkpoint item {taken[0]!r} has a reserved name.")
    self.directory = restore.absolute(directory)
    self._items = tuple(items)
    self._best = best
    self._sign = 1.0 if higher_is_better else -1.0
    self._manager = ocp.CheckpointManager(
      self.directory,
      item_names=(*items, *_JSON_ITEMS),
      options=_options(keep, best, self._sign, async_),
    )
    self._empty_deleted()

  def save(
    self,
    step: int,
    trees: Mapping[str, Any],
    data: Mapping[str, Any],
    config: Mapping[str, Any],
    metrics: Mapping[str, float] | None = None,
  ) -> None:
    """Save one step; the arrays may be donated or changed right afterwards.

    Args:
      step: number of the step, larger than every saved one.
      trees: one tree of arrays per item.
      data: state of the input pipeline, the same in every process.
      config: the run's config as plain JSON.
      metrics: scores of this step; a step without them is never the best.

    Raises:
      ValueError: if the step is not new, or the items are not the declared
        ones.
    """
    latest = self.latest_step()
    if latest is not None and step <= latest:
      # Orbax would return False and save nothing.
      raise ValueError(
        f"cannot save step {step} in {self.directory}: step {latest} exists."
      )
    if set(trees) != set(self._items):
      raise ValueError(
        f"checkpoint items are {restore.join_names(trees)}, but must be "
        f"{restore.join_names(self._items)}."
      )
    if metrics is not None and self._best and self._best not in metrics:
      raise ValueError(
        f"metrics lack {self._best!r}, the metric of the best checkpoint; they "
        f"have {restore.join_names(metrics)}."
      )
    arrays = {k: ocp.args.StandardSave(trees[k]) for k in self._items}
    sums = {}
    if distributed.is_first_process():  # only this process writes JSON
      sums = {k: checksums.compute(trees[k]) for k in self._items}
    self.wait()  # as Orbax would
    self._empty_deleted()
    self._manager.save(
      step,
      args=ocp.args.Composite(
        **arrays,
        data=ocp.args.JsonSave(dict(data)),
        config=ocp.args.JsonSave(dict(config)),
        checksums=ocp.args.JsonSave(sums),
      ),
      metrics=metrics and {k: float(v) for k, v in metrics.items()},
    )

  def latest_step(self) -> int | None:
    """Return the newest step, or None if there is none."""
    return self._manager.latest_step()

  def best_step(self) -> int | None:
    """Return the step with the best metric, or None if none has a metric."""
    return self._manager.best_step() if self._best else None

  def all_steps(self) -> list[int]:
    """Return all saved steps, in order."""
    return sorted(self._manager.all_steps())

  def wait(self) -> None:
    """Wait until everything is written; raise errors of background saving."""
    self._manager.wait_until_finished()

  def close(self) -> None:
    """Finish writing and release the folder."""
    self._manager.wait_until_finished()
    self._manager.close()
    self._empty_deleted()

  def _empty_deleted(self) -> None:
    if distributed.is_first_process():
      folder = epath.Path(self.directory) / _DELETED
      if folder.exists():
        folder.rmtree()

  def __enter__(self):
    return self

  def __exit__(self, *unused_error):
    self.close()


def _options(keep: int, best: str | None, sign: float, async_: bool):
  quality = lambda metrics: restore.quality(metrics, best, sign)
  policies = [checkpoint_managers.LatestN(keep)]
  if best:
    # best_fn with max_to_keep would delete the newest step if it is not the
    # best one, but a run resumes from the newest step.
    policies.append(
      checkpoint_managers.BestN(
        get_metric_fn=quality, n=1, keep_checkpoints_without_metrics=False
      )
    )
  return ocp.CheckpointManagerOptions(
    preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
    best_fn=quality if best else None,
    enable_async_checkpointing=async_,
    todelete_subdir=_DELETED,  # on Google's cloud Orbax ignores it
  )
