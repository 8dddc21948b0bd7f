"""The only training loop, in the order of execution."""

import contextlib
import os

import jax
from absl import logging
from clu import parameter_overview

from foregan_jax import (
  evaluate,
  evaluators,
  game,
  items,
  runs,
  storage,
  systems,
  tasks,
  warm_start,
)
from foregan_jax import stepper as stepper_lib
from foregan_jax.data import pipeline, sources
from foregan_jax.evaluators import result as result_lib
from foregan_jax.media import pictures
from foregan_jax.runtime import (
  checkpoints,
  distributed,
  interrupts,
  locks,
  platform,
  progress,
  restore,
  settings,
  writers,
)
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import pending as pending_lib

# A big network has hundreds of arrays; the totals matter more.
_MAX_OVERVIEW_LINES = 24


def train_and_evaluate(config, workdir: str | os.PathLike) -> None:
  """Train the config's system, or continue the run in `workdir`.

  Args:
    config: from a file in `configs/`.
    workdir: folder of everything that is written, or an address in a cloud.

  Raises:
    ValueError: for a bad config, bad data, or the workdir of another run.
    NonFiniteError: naming the step, the player and the term.
  """
  workdir = storage.open_path(workdir)
  first = distributed.is_first_process()

  # -- Devices, and whether they can share a batch.
  mesh = mesh_lib.make_mesh()
  mesh_lib.check_batch(config.batch_size, mesh)

  # -- The system: nets, players, optimisers.
  system = systems.build(config)
  tx = stepper_lib.make_optimizers(config, system)

  # -- The workdir: of this run, and of no other process.
  runs.check(workdir, config)
  with locks.hold(workdir) if first else contextlib.nullcontext():
    runs.claim(workdir, config)
    _train(config, workdir, mesh, system, tx)


def _train(config, workdir: storage.Path, mesh, system, tx) -> None:
  """Train in a workdir that this process holds; see `train_and_evaluate`."""
  first = distributed.is_first_process()

  # -- Data: the host only decodes.
  spec = system.batch_spec(config.batch_size)
  if first or storage.is_remote(workdir):  # then each host has a cache
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

  # -- State: one jitted init, replicated; frozen nets are added once.
  replicated = mesh_lib.replicated(mesh)
  init_key, step_key = jax.random.split(platform.key(config.seed))
  step_key = mesh_lib.replicate(mesh, step_key)
  make_state = stepper_lib.make_init(config, system, tx, replicated)
  state = make_state(init_key)
  frozen = runs.load_frozen(system, workdir)
  state = state.replace(frozen=mesh_lib.replicate(mesh, frozen))

  # -- Resume: 1. this workdir, 2. `init_from`, 3. initial weights.
  folder = workdir / "checkpoints"
  start, restored = restore.load_newest(
    folder, lambda step: runs.load_state(folder, step, system, state)
  ) or (0, None)
  if start > config.num_steps:
    raise ValueError(
      f"{workdir} is at step {start} already; num_steps is {config.num_steps}."
    )
  if restored:
    restore.set_aside(folder, after=start)
    state, data_state = restored
    batches.set_state(data_state)
    logging.info("resumed at step %d of %s", start, workdir)
  else:
    state = warm_start.start_from(config.init_from, system, state)
  saver = checkpoints.Checkpoints(
    folder,
    tuple(system.checkpoint_items),
    keep=config.keep_checkpoints,
    **items.best_metric(system),
  )
  writer = writers.create(workdir, resume_step=start + 1 if start else 0)
  if first and not start:
    writer.write_hparams(settings.to_json(config))
    table = parameter_overview.get_parameter_overview(
      state.params, include_stats=False, max_lines=_MAX_OVERVIEW_LINES
    )
    logging.info("parameters:\n%s", table)

  # -- Work between steps: evaluate, save, write samples.
  bar = progress.Progress(
    start=start, end=config.num_steps, items_per_step=config.batch_size
  )
  diagnose = None
  if first and isinstance(system, tasks.HasDiagnostics):
    diagnose = system.diagnose
  pending = pending_lib.PendingMetrics(
    writer,
    bar,
    every=config.log_every,
    diagnose=diagnose,
  )

  def assess(step: int, *, final: bool) -> result_lib.Result:
    pending.flush()
    result = evaluator.assess(
      jax.device_get(game.evaluation_nets(state)),
      folder=result_lib.folder(workdir, sources.benchmark(config), step),
      whole=final,
      write=final and config.eval.write_pictures,
    )
    writer.write_scalars(
      step, {f"eval/{name}": x for name, x in result.scalars.items()}
    )
    return result

  def save(step: int, result: result_lib.Result | None) -> None:
    pending.flush()  # raises if a value is not finite: do not save such a state
    writer.flush()
    if (saver.latest_step() or 0) < step:
      saver.save(
        step,
        items.split(system, state),
        batches.get_state(),
        settings.to_json(config),
        {system.best.name: result.best} if result and system.best else None,
      )

  def sample(step: int) -> None:
    if first:
      nets = jax.device_get(game.evaluation_nets(state))
      for name, sheet in evaluator.samples(nets).items():
        path = workdir / "samples" / f"step_{step:06d}_{name}.png"
        pictures.save_png(path, sheet)
        writer.write_images(step, {f"samples/{name}": sheet[None]})

  # -- The loop. Each iteration first evaluates and saves, then fetches a batch,
  # dispatches the step, and logs the step before. So the iterator and the state
  # agree in every checkpoint, and the host never waits for the current step.
  step_fn = stepper_lib.Stepper(system, tx, mesh, ema_decay=config.ema_decay)
  due = lambda every, step: every and step > start and step % every == 0
  restarts = lambda step: ()
  if isinstance(system, tasks.HasRestarts):
    restarts = system.restarts
  with interrupts.Interrupts() as signals, bar:
    for step in range(start, config.num_steps):
      result = None
      if due(config.eval_every, step):
        with bar.paused("evaluating"):
          result = assess(step, final=False)
      if due(config.sample_every, step):
        with bar.paused("writing samples"):
          sample(step)
      if result or due(config.checkpoint_every, step):
        with bar.paused("saving"):
          save(step, result)
      if signals.should_stop(step):
        save(step, None)
        _close(saver, writer, batches)
        logging.warning("stopped at step %d; run again to continue", step)
        return
      if names := restarts(step):
        state = stepper_lib.restart(system, names, state, make_state(init_key))
        logging.info("step %d: %s starts again", step, ", ".join(names))
      local = next(batches)
      with jax.transfer_guard("disallow"):
        batch = mesh_lib.to_global(mesh, local)
        turn = system.turn(step)
        if turn not in step_fn.programs:
          with bar.paused(f"compiling {' + '.join(turn)}"):
            step_fn.compile(turn, state, batch, step_key)
            # Gloo's first connection times out after 30 s, and compile times
            # of processes differ by more.
            mesh_lib.barrier(f"compiled {turn}")
        state, metrics = step_fn(turn, state, batch, step_key)
      pending.add(step + 1, metrics)
    pending.close()

  # -- The end: scores and pictures of all data, and the last checkpoint. The
  # checkpoint is saved even if the evaluation fails or is interrupted.
  with interrupts.Interrupts():
    try:
      result = assess(config.num_steps, final=True)
    except BaseException:
      save(config.num_steps, None)
      saver.close()
      raise
    save(config.num_steps, result)
    # What follows may fail, for example because `samples` cannot be written.
    saver.wait()
  sample(config.num_steps)
  _close(saver, writer, batches)
  if first:
    evaluate.show(workdir, config, config.num_steps, result)


def _close(*resources) -> None:
  for resource in resources:
    resource.close()
