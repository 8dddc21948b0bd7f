"""Benchmark: compile time, step time, throughput and memory of real steps.

  python -m foregan_jax.bench --config=configs/davis.py:fake

The data are random. `--alone` also measures each player of the largest turn
alone; the difference is what sharing one rollout saves. `--scores` measures
the scores J and F instead, beside the official toolkit's steps.

Times are medians. The roofline is a matrix product measured in the same run,
so ratios to it are comparable on a shared machine.
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

from foregan_jax import game, runs, systems, tasks
from foregan_jax import stepper as stepper_lib
from foregan_jax.data import fake
from foregan_jax.metrics import speed
from foregan_jax.runtime import cli, collectives, distributed, platform
from foregan_jax.runtime import mesh as mesh_lib

_WARMUP = 1
_REPEATS = 5
_ROOFLINE_SIZE = 2048
_GIGA = 1e9
_MIB = 2.0**20


def run(config, *, alone: bool = False) -> dict[str, dict[str, float]]:
  """Measure every distinct turn of the config's system and print a table.

  The first lines are the system's own parts (`tasks.HasBenchmarks`).

  Args:
    config: as for training; random arrays replace its data.
    alone: whether to measure each player of the largest turn alone, too.

  Returns:
    Per turn or part: compile_s, ms, items_per_s, gflop, gflop_per_s, temp_mib,
    and collective_mib: results of operations between devices.
  """
  mesh = mesh_lib.make_mesh()
  mesh_lib.check_batch(config.batch_size, mesh)
  system = systems.build(config)
  tx = stepper_lib.make_optimizers(config, system)
  replicated = mesh_lib.replicated(mesh)
  init = stepper_lib.make_init(config, system, tx, replicated)
  frozen = mesh_lib.replicate(mesh, runs.load_frozen(system, None))
  state = init(platform.key(0)).replace(frozen=frozen)
  key = mesh_lib.replicate(mesh, platform.key(1))
  batch = _batch(config, system, mesh)
  results = {}
  if isinstance(system, tasks.HasBenchmarks):
    nets = game.current_nets(state)
    for name, part in system.benchmarks().items():
      results[name] = _measure_part(part, mesh, nets, batch, key)
  step_fn = stepper_lib.Stepper(system, tx, mesh, ema_decay=config.ema_decay)
  turns = _turns(system, config.num_steps)
  largest = max(turns, key=len)
  if alone:
    turns = list(dict.fromkeys([*turns, *((name,) for name in largest)]))
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
    if alone and len(largest) > 1:
      _print_sharing(largest, results)
  return results


def _measure_part(part, mesh, nets, batch, key) -> dict[str, float]:
  """Measure a part; on several devices its batch is sharded."""
  start = time.perf_counter()
  with jax.set_mesh(mesh):  # see `mesh.split_rows`
    lowered = jax.jit(part).lower(nets, batch, key)
  program = lowered.compile()
  compile_seconds = time.perf_counter() - start
  return _line(
    seconds=_median_seconds(lambda: program(nets, batch, key)),
    compile_seconds=compile_seconds,
    flops=_count(part, nets, batch, key),
    program=program,
    batch=batch,
  )


def _median_seconds(run_once) -> float:
  times = []
  for _ in range(_WARMUP + _REPEATS):
    start = time.perf_counter()
    jax.block_until_ready(run_once())
    times.append(time.perf_counter() - start)
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
    "collective_mib": sum(collectives.count_bytes(program.as_text()).values())
    / _MIB,
  }


def _flops(config, tx, turn, state, batch, key) -> float:
  """Count a turn's operations on all devices.

  With the scan unrolled: the cost model counts the body of a loop once.
  """
  plain = config.copy_and_resolve_references()
  plain.scan_unroll, plain.remat = "full", "off"
  system = systems.build(plain)
  step = functools.partial(game.update, system, tx, turn)
  return _count(step, state, batch, key)


def _count(function, *args) -> float:
  """Count a function's operations by XLA's cost model.

  Count before compilation (a compiled program counts one device only), and as
  for a CPU: on GPUs the cost model needs a compiled program.
  """
  cpu = jax.sharding.SingleDeviceSharding(jax.local_devices(backend="cpu")[0])
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=cpu), args
  )
  return jax.jit(function).lower(*shapes).cost_analysis()["flops"]


def _turns(system, num_steps: int) -> list[tuple[str, ...]]:
  """Return the distinct turns of a run, in order of appearance."""
  return list(dict.fromkeys(map(system.turn, range(num_steps))))


def _batch(config, system, mesh):
  rows = mesh_lib.local_batch_size(config.batch_size, mesh)
  source = fake.Fake(system.batch_spec(rows), seed=config.seed)
  samples = [source[i] for i in range(rows)]
  return mesh_lib.to_global(
    mesh, jax.tree.map(lambda *x: np.stack(x), *samples)
  )


def _frames(batch) -> int:
  """Count the frames of a batch of videos, or the samples of other batches."""
  shape = batch["video"].shape if "video" in batch else None
  return shape[0] * shape[1] if shape else len(jax.tree.leaves(batch)[0])


def _roofline(dtype) -> float:
  """Measure GFLOP/s of one device in a large matrix product."""
  n = _ROOFLINE_SIZE
  x = jnp.ones((n, n), dtype)
  product = jax.jit(lambda x: x @ x)
  jax.block_until_ready(product(x))
  times = []
  for _ in range(_REPEATS):
    start = time.perf_counter()
    jax.block_until_ready(product(x))
    times.append(time.perf_counter() - start)
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
    "of roofline", "temp MiB", "collective MiB",
  ):  # fmt: skip
    table.add_column(name, justify="left" if name == "turn" else "right")
  for turn, r in results.items():
    table.add_row(
      turn, f"{r['compile_s']:.1f}", f"{r['ms']:.1f}",
      f"{r['items_per_s']:.1f}", f"{r['gflop']:.1f}", f"{r['gflop_per_s']:.1f}",
      f"{r['gflop_per_s'] / peak:.0%}", f"{r['temp_mib']:.0f}",
      f"{r['collective_mib']:.2f}",
    )  # fmt: skip
  rich.console.Console(width=120).print(table)
  print(f"roofline (matrix product): {peak:.0f} GFLOP/s")
  print(f"peak memory: {_peak_memory()}")


def _print_sharing(largest, results) -> None:
  together = results[" + ".join(largest)]["ms"]
  separate = sum(results[name]["ms"] for name in largest)
  print(
    f"one turn: {together:.0f} ms; its players in separate turns: "
    f"{separate:.0f} ms; ratio {together / separate:.0%}"
  )


def main() -> None:
  """Measure what the flags name."""
  if _SCORES.value:
    speed.show(speed.measure())
  elif _CONFIG.value is None:
    raise ValueError("give --config=FILE, or --scores")
  else:
    run(_CONFIG.value, alone=_ALONE.value)


if __name__ == "__main__":
  _ALONE = flags.DEFINE_bool(
    "alone", False, "Measure every player of the largest turn alone, too."
  )
  _SCORES = flags.DEFINE_bool(
    "scores", False, "Measure the scores J and F, not a config."
  )
  _CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file, with its argument.", lock_config=True
  )
  cli.run(main)
