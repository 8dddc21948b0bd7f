"""The real step on random data: what it costs, and against what.

  python -m foregan_jax.bench --config=configs/davis.py:fake

With `--alone` every player of the fullest turn is measured by itself as well,
while the others stand still: what it saves that all share one rollout.

Times are medians; the roofline is a matrix product measured in the same run,
so that the share of it means something on a shared machine too.
"""

import functools
import resource
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import rich.console
import rich.table
from absl import flags
from ml_collections import config_flags

from foregan_jax import game, systems, train
from foregan_jax import stepper as stepper_lib
from foregan_jax.data import fake
from foregan_jax.runtime import cli, distributed, platform
from foregan_jax.runtime import mesh as mesh_lib

_WARMUP = 1
_REPEATS = 5
_ROOFLINE_SIZE = 2048
_GIGA = 1e9
_MIB = 2.0**20


def run(config, *, alone: bool = False) -> dict[str, dict[str, float]]:
  """Measures every distinct turn of the config's system, prints a table.

  Parts that the system names come first (`game.Measured`).

  Args:
    config: as for training; its data is replaced by random arrays.
    alone: whether to measure each player of the fullest turn by itself too.

  Returns:
    Per turn or part: compile_s, ms, items_per_s, gflop, gflop_per_s, temp_mib.
  """
  mesh = mesh_lib.make_mesh()
  mesh_lib.check_batch(config.batch_size, mesh)
  system = systems.build(config)
  tx = train.make_optimizers(config, system)
  everywhere = mesh_lib.replicated(mesh)
  state = train.state_maker(config, system, tx, everywhere)(platform.key(0))
  key = mesh_lib.replicate(mesh, platform.key(1))
  batch = _batch(config, system, mesh)
  results = {}
  if isinstance(system, game.Measured):
    for name, part in system.parts().items():
      results[name] = _measure_part(part, state.params, batch, key)
  step_fn = stepper_lib.Stepper(system, tx, mesh, ema_decay=config.ema_decay)
  turns = _turns(system, config.num_steps)
  fullest = max(turns, key=len)
  if alone:
    turns = list(dict.fromkeys([*turns, *((name,) for name in fullest)]))
  for turn in turns:
    step_fn.compile(turn, state, batch, key)

    def step(turn=turn):
      nonlocal state
      state, metrics = step_fn(turn, state, batch, key)
      return state, metrics

    results[" + ".join(turn)] = _line(
      seconds=_median_seconds(step),
      compile_seconds=step_fn.compile_seconds[turn],
      flops=_flops(config, tx, turn, state, batch, key),
      program=step_fn.programs[turn],
      batch=batch,
    )
  if distributed.is_first_process():
    _print(config, system, mesh, results)
    if alone and len(fullest) > 1:
      _print_saved(fullest, results)
  return results


def _measure_part(part, params, batch, key) -> dict[str, float]:
  """Measures a part alone; on several devices it is split as the batch is."""
  began = time.perf_counter()
  lowered = jax.jit(part).lower(params, batch, key)
  program = lowered.compile()
  compile_seconds = time.perf_counter() - began
  return _line(
    seconds=_median_seconds(lambda: program(params, batch, key)),
    compile_seconds=compile_seconds,
    flops=lowered.cost_analysis()["flops"],
    program=program,
    batch=batch,
  )


def _median_seconds(run_once) -> float:
  times = []
  for _ in range(_WARMUP + _REPEATS):
    began = time.perf_counter()
    jax.block_until_ready(run_once())
    times.append(time.perf_counter() - began)
  return statistics.median(times[_WARMUP:])


def _line(
  *, seconds, compile_seconds, flops, program, batch
) -> dict[str, float]:
  return {
    "compile_s": compile_seconds,
    "ms": 1e3 * seconds,
    "items_per_s": _frames(batch) / seconds,
    "gflop": flops / _GIGA,
    "gflop_per_s": flops / _GIGA / seconds,
    "temp_mib": program.memory_analysis().temp_size_in_bytes / _MIB,
  }


def _flops(config, tx, turn, state, batch, key) -> float:
  """Counts a turn's operations over all devices, by XLA's own cost model.

  Counted before compilation and with the scan unrolled: a compiled loop counts
  once however often it runs, and a compiled program counts one device's share.
  """
  plain = config.copy_and_resolve_references()
  plain.scan_unroll, plain.remat = "full", "off"
  system = systems.build(plain)
  step = functools.partial(game.update, system, tx, turn)
  return jax.jit(step).lower(state, batch, key).cost_analysis()["flops"]


def _turns(system, num_steps: int) -> list[tuple[str, ...]]:
  """Returns the distinct turns of a run, in order of appearance."""
  enough = 10_000  # every schedule has shown all its turns by then
  return list(dict.fromkeys(map(system.turn, range(min(num_steps, enough)))))


def _batch(config, system, mesh):
  rows = mesh_lib.local_batch_size(config.batch_size, mesh)
  source = fake.Fake(system.batch_spec(rows), seed=config.seed)
  samples = [source[i] for i in range(rows)]
  return mesh_lib.to_global(
    mesh, jax.tree.map(lambda *x: np.stack(x), *samples)
  )


def _frames(batch) -> int:
  """Counts the frames of a batch of videos, or the items of any other."""
  shape = batch["video"].shape if "video" in batch else None
  return shape[0] * shape[1] if shape else len(next(iter(batch.values())))


def _roofline(dtype) -> float:
  """Returns GFLOP/s of one device in a large matrix product."""
  n = _ROOFLINE_SIZE
  x = jnp.ones((n, n), dtype)
  product = jax.jit(lambda x: x @ x)
  jax.block_until_ready(product(x))
  times = []
  for _ in range(_REPEATS):
    began = time.perf_counter()
    jax.block_until_ready(product(x))
    times.append(time.perf_counter() - began)
  return 2.0 * n**3 / statistics.median(times) / _GIGA


def _peak_memory() -> str:
  stats = jax.local_devices()[0].memory_stats() or {}
  if "peak_bytes_in_use" in stats:
    return f"{stats['peak_bytes_in_use'] / _MIB:.0f} MiB on the device"
  kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return f"{kib / 1024:.0f} MiB of the process"


def _print(config, system, mesh, results) -> None:
  device = jax.devices()[0].device_kind
  c = config
  peak = _roofline(platform.dtype(c.dtype)) * mesh.size
  spec = system.batch_spec(c.batch_size)
  shapes = ", ".join(
    jax.tree_util.keystr(path, simple=True, separator="/")
    + f" {'x'.join(map(str, leaf.shape))}"
    for path, leaf in jax.tree_util.tree_leaves_with_path(spec)
  )
  title = (
    f"{c.system} ({c.variant}), {shapes}, {c.dtype} on {mesh.size} x {device}"
  )
  table = rich.table.Table(title=title, title_justify="left")
  for name in (
    "turn", "compile s", "ms/step", "frames/s", "GFLOP/step", "GFLOP/s",
    "of roofline", "temp MiB",
  ):  # fmt: skip
    table.add_column(name, justify="left" if name == "turn" else "right")
  for turn, r in results.items():
    table.add_row(
      turn, f"{r['compile_s']:.1f}", f"{r['ms']:.1f}",
      f"{r['items_per_s']:.1f}", f"{r['gflop']:.1f}", f"{r['gflop_per_s']:.1f}",
      f"{r['gflop_per_s'] / peak:.0%}", f"{r['temp_mib']:.0f}",
    )  # fmt: skip
  rich.console.Console(width=110).print(table)
  print(f"roofline (matrix product): {peak:.0f} GFLOP/s")
  print(f"peak memory: {_peak_memory()}")


def _print_saved(fullest, results) -> None:
  together = results[" + ".join(fullest)]["ms"]
  apart = sum(results[name]["ms"] for name in fullest)
  print(
    f"one turn together: {together:.0f} ms; its players one after the other: "
    f"{apart:.0f} ms; {together / apart:.0%}"
  )


if __name__ == "__main__":
  _ALONE = flags.DEFINE_bool(
    "alone", False, "Measure every player of the fullest turn by itself too."
  )
  _CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file, with its argument.", lock_config=True
  )
  flags.mark_flag_as_required("config")
  cli.run(lambda: run(_CONFIG.value, alone=_ALONE.value))
