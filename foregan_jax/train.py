"""The only training loop; read top to bottom in the order of execution."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from clu import parameter_overview

from foregan_jax import evaluate, evaluators, game, systems
from foregan_jax import stepper as stepper_lib
from foregan_jax.data import pipeline, sources
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import pictures
from foregan_jax.runtime import (
  checkpoints,
  distributed,
  interrupts,
  optimizers,
  platform,
  progress,
  settings,
  writers,
)
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import pending as pending_lib

# What a run may change when it goes on: how long, how often and where, not
# what it learns.
_MAY_CHANGE = (
  "num_steps", "log_every", "checkpoint_every", "eval_every", "sample_every",
  "keep_checkpoints", "alarm_after", "eval.pictures", "eval.inception",
  "eval.num_drawn", "data.threads", "data.prefetch",
  "data.root", "data.train_root", "data.stills.root", "data.flow_cache",
  "scan_unroll", "remat",
)  # fmt: skip
# A big network has hundreds of arrays; the totals are what one reads.
_MAX_OVERVIEW_LINES = 24


def train_and_evaluate(config, workdir: str | pathlib.Path) -> None:
  """Trains the config's system, or goes on where a run in `workdir` stopped.

  Args:
    config: every key of configs/davis.py.
    workdir: everything that is written lies in it.

  Raises:
    ValueError: for a config, data or workdir that cannot be used.
    NonFiniteError: naming the step, the player and the term.
  """
  workdir = pathlib.Path(workdir).absolute()
  first = distributed.is_first_process()

  # -- Devices, and whether they can share a batch.
  mesh = mesh_lib.make_mesh()
  mesh_lib.check_batch(config.batch_size, mesh)

  # -- The system: nets, players, optimisers.
  system = systems.build(config)
  tx = make_optimizers(config, system)
  spec = system.batch_spec(config.batch_size)
  _claim(workdir, config)

  # -- Data: the host only decodes.
  if first:
    sources.prepare(config, workdir)
  mesh_lib.barrier("data is prepared")
  batches = pipeline.train_batches(
    sources.training(config, workdir, spec),
    global_batch=config.batch_size,
    seed=config.seed,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    num_threads=config.data.threads,
    prefetch=config.data.prefetch,
  )
  evaluator = evaluators.build(system, config, workdir)
  if first:
    evaluator.prepare_samples()

  # -- State: one jitted init, replicated.
  everywhere = mesh_lib.replicated(mesh)
  init_key, step_key = jax.random.split(platform.key(config.seed))
  step_key = mesh_lib.replicate(mesh, step_key)
  state = state_maker(config, system, tx, everywhere)(init_key)

  # -- Resume: 1. this workdir, 2. what `init_from` names, 3. scratch.
  saver = checkpoints.Checkpoints(
    workdir / "checkpoints",
    tuple(system.checkpoint_items),
    keep=config.keep_checkpoints,
    best="J",
  )
  start = saver.latest_step() or 0
  if start > config.num_steps:
    raise ValueError(
      f"{workdir} is at step {start} already; num_steps is {config.num_steps}."
    )
  if start:
    items, data_state, _ = saver.restore(start, game.split(system, state))
    state = game.join(state, items)
    batches.set_state(data_state)
    logging.info("resumed at step %d of %s", start, workdir)
  else:
    state = _init_from(config.init_from, system, state)
  writer = writers.create(workdir, resume_step=start + 1 if start else 0)
  if first and not start:
    writer.write_hparams(settings.to_json(config))
    table = parameter_overview.get_parameter_overview(
      state.params, include_stats=False, max_lines=_MAX_OVERVIEW_LINES
    )
    logging.info("parameters:\n%s", table)

  # -- What is done now and then.
  bar = progress.Progress(
    start=start, end=config.num_steps, items_per_step=config.batch_size
  )
  watched = first and isinstance(system, game.Watched)
  pending = pending_lib.Pending(
    writer,
    bar,
    every=config.log_every,
    diagnose=system.diagnose if watched else None,
  )

  def assess(step: int, *, final: bool) -> result_lib.Result:
    pending.flush()
    result = evaluator.assess(
      jax.device_get(game.evaluation_params(state)),
      folder=result_lib.folder(workdir, sources.benchmark(config), step),
      whole=final,
      write=final and config.eval.pictures,
    )
    writer.write_scalars(
      step, {f"eval/{name}": x for name, x in result.scalars.items()}
    )
    return result

  def save(step: int, result: result_lib.Result | None) -> None:
    pending.flush()  # what became non-finite is not worth keeping
    writer.flush()
    if (saver.latest_step() or 0) < step:
      items = game.split(system, state)
      here = batches.get_state()
      score = result and {"J": result.best}
      saver.save(step, items, here, settings.to_json(config), score)

  def sample(step: int) -> None:
    if first:
      params = jax.device_get(game.evaluation_params(state))
      for name, sheet in evaluator.samples(params).items():
        path = workdir / "samples" / f"step_{step:06d}_{name}.png"
        pictures.save_png(path, sheet)
        writer.write_images(step, {f"samples/{name}": sheet[None]})

  # -- The loop. Evaluate, checkpoint, then draw a batch, step, log the step
  # before: iterator and state agree whenever a checkpoint is written, and the
  # host never waits for the step it has just sent off.
  step_fn = stepper_lib.Stepper(system, tx, mesh, ema_decay=config.ema_decay)
  due = lambda every, step: every and step > start and step % every == 0
  with interrupts.Interrupts() as signals, bar:
    for step in range(start, config.num_steps):
      result = None
      if due(config.eval_every, step):
        with bar.paused("evaluating"):
          result = assess(step, final=False)
      if due(config.sample_every, step):
        with bar.paused("drawing samples"):
          sample(step)
      if result or due(config.checkpoint_every, step):
        with bar.paused("saving"):
          save(step, result)
      if signals.should_stop(step):
        save(step, None)
        _close(saver, writer, batches)
        logging.warning("stopped at step %d; run again to go on", step)
        return
      local = next(batches)
      with jax.transfer_guard("disallow"):
        batch = mesh_lib.to_global(mesh, local)
        turn = system.turn(step)
        if turn not in step_fn.programs:
          with bar.paused(f"compiling {' + '.join(turn)}"):
            step_fn.compile(turn, state, batch, step_key)
            # Gloo gives up a first meeting after 30 s; compilers differ more.
            mesh_lib.barrier(f"compiled {turn}")
        state, metrics = step_fn(turn, state, batch, step_key)
      pending.swap(step + 1, metrics)
    pending.close()

  # -- The end: scores and pictures of everything, the last checkpoint. What
  # was learnt is kept even if the evaluation fails or somebody asks to stop.
  with interrupts.Interrupts():
    try:
      result = assess(config.num_steps, final=True)
    except BaseException:
      save(config.num_steps, None)
      saver.close()
      raise
    save(config.num_steps, result)
  sample(config.num_steps)
  _close(saver, writer, batches)
  if first:
    evaluate.show(workdir, config, config.num_steps, result)


def make_optimizers(config, system) -> dict:
  """Returns one optimiser per player; a decay without an end ends the run."""
  made = {}
  for player in system.players:
    c = config.optim[player.name].copy_and_resolve_references()
    if c.decay != "none" and not c.decay_steps:
      turns = map(system.turn, range(config.num_steps))
      c.decay_steps = max(1, sum(player.name in turn for turn in turns))
    made[player.name] = optimizers.make(c)
  return made


def state_maker(config, system, tx, sharding: Any) -> Callable:
  """Returns the compiled function from a key to a fresh state."""
  # A player who is not in the game has no net to average.
  averaged = [net for net in config.ema_nets if net in system.nets]
  averaged = tuple(averaged) if config.ema_decay else ()
  spec = system.batch_spec(config.batch_size)

  def init(key):
    batch = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), spec)
    return game.init_state(system, tx, key, batch, averaged=averaged)

  return jax.jit(
    init, out_shardings=sharding, compiler_options=platform.COMPILE_FAST
  )


def _close(*things) -> None:
  for thing in things:
    thing.close()


def _claim(workdir: pathlib.Path, config) -> None:
  """Writes the config into a new workdir, refuses one of another config."""
  path = workdir / settings.FILE
  mine = settings.to_json(config)
  # A config with which nothing was trained yet binds nobody.
  if path.exists() and checkpoints.any_step(workdir / "checkpoints"):
    theirs = settings.to_json(settings.load(path))
    changes = settings.same_config(theirs, mine, ignore=_MAY_CHANGE)
    if changes:
      raise ValueError(
        f"{workdir} holds a run of another config; give another --workdir, or "
        f"undo: {'; '.join(changes)}"
      )
  mesh_lib.barrier("the workdir fits")
  if distributed.is_first_process():
    workdir.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(mine, indent=2))
    beside.replace(path)


def _init_from(c, system, state: game.State) -> game.State:
  """Takes weights from another run, or from a file, or from neither."""
  if c.workdir and c.weights:
    raise ValueError("init_from names both a workdir and a weight file")
  if c.workdir:
    return _with_weights(state, _items_of(c, system, state))
  if c.weights:
    if not isinstance(system, game.Loads):
      raise ValueError(
        f"init_from.weights is {c.weights!r}, but {system.name} starts from "
        "no file of another program"
      )
    # On the host, with what the file lacks as it was drawn.
    params = system.load_weights(jax.device_get(state.params), c.weights)
    logging.info("weights of %s", c.weights)
    return _with_weights(state, params)
  return state


def _items_of(c, system, state: game.State) -> dict[str, Any]:
  """Reads the nets of chosen items; their optimisers start afresh."""
  directory = pathlib.Path(c.workdir) / "checkpoints"
  if not c.checkpoint_items:
    raise ValueError("init_from names a workdir, but no checkpoint_items")
  unknown = set(c.checkpoint_items) - set(system.checkpoint_items)
  if unknown:
    raise ValueError(
      f"init_from.checkpoint_items names {sorted(unknown)}; this system has "
      f"{sorted(system.checkpoint_items)}"
    )
  (step,) = checkpoints.pick_steps(directory, c.step, best="J")
  wanted = {
    item: {"params": tree["params"]}
    for item, tree in game.split(system, state).items()
    if item in c.checkpoint_items
  }
  loaded = checkpoints.load_items(
    directory,
    step,
    wanted,
    unread=checkpoints.ALL_BUT_WEIGHTS,
  )
  logging.info(
    "weights of %s from step %d of %s", c.checkpoint_items, step, directory
  )
  return {
    net: params
    for tree in loaded.values()
    for net, params in tree["params"].items()
  }


def _with_weights(state: game.State, params: dict[str, Any]) -> game.State:
  """Puts nets into a state and into its averages, where it stands."""
  place = lambda old, new: jax.tree.map(
    lambda o, n: jax.device_put(n, o.sharding), old, new
  )
  mine = {net: place(state.params[net], new) for net, new in params.items()}
  # Donated buffers must be distinct.
  ema = {
    net: jax.tree.map(jnp.copy, new)
    for net, new in mine.items()
    if net in state.ema
  }
  return state.replace(
    params={**state.params, **mine}, ema={**state.ema, **ema}
  )
