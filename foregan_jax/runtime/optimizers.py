"""Adam with optional gradient clipping, warm-up and decay."""

import ml_collections
import optax

DECAYS = ("none", "cosine", "step", "linear")
# The linear decay of CycleGAN begins and ends here, in lengths of the run.
_CONSTANT, _END = 100 / 200, 201 / 200


def adam(learning_rate: float, b1: float) -> ml_collections.ConfigDict:
  """Return the config of one player's optimiser, with default values."""
  return ml_collections.ConfigDict(
    dict(
      learning_rate=learning_rate,
      b1=b1,
      b2=0.999,
      eps=1e-8,
      grad_clip=0.0,  # largest global norm; 0: off
      warmup_steps=0,
      decay="none",  # none | cosine | step | linear
      # Updates of the player: the length of the cosine, those between two
      # steps, those before each step (a tuple), or the first and the last one
      # of the linear decay. 0: cosine and linear end with the run.
      decay_steps=0,
      decay_factor=1.0,  # of the rate at each step
    )
  )


def schedule(c: ml_collections.ConfigDict) -> optax.Schedule:
  """Return the learning rate as a function of the player's updates.

  The rate increases linearly from 0 during `warmup_steps`. Then it is constant
  (`decay="none"`), decreases along half a cosine to 0 at `decay_steps`
  (`"cosine"`), or is multiplied by `decay_factor` after every `decay_steps`
  updates (`"step"`, PyTorch's StepLR), or after each number of updates in
  `decay_steps` (PyTorch's MultiStepLR), or decreases linearly to 0 between the
  two numbers of updates in `decay_steps` (`"linear"`, CycleGAN's).
  `decay_steps` includes the warm-up.

  Args:
    c: a config with the fields learning_rate, warmup_steps, decay, decay_steps,
      decay_factor.

  Returns:
    A function from the number of completed updates to the learning rate.

  Raises:
    ValueError: if a field is outside its range.
  """
  if c.learning_rate < 0:
    raise ValueError(
      f"learning_rate is {c.learning_rate}, but must not be negative."
    )
  if c.decay not in DECAYS:
    raise ValueError(
      f"decay is {c.decay!r}, but must be one of {', '.join(DECAYS)}."
    )
  least = c.warmup_steps + 1 if c.decay == "cosine" else 1
  several = isinstance(c.decay_steps, tuple)
  if several and c.decay == "cosine":
    raise ValueError(
      f"decay_steps is {c.decay_steps}, but decay 'cosine' needs one number."
    )
  if c.decay == "linear" and not (several and _is_span(c.decay_steps)):
    raise ValueError(
      f"decay_steps is {c.decay_steps}, but decay 'linear' needs two numbers, "
      "the second one larger."
    )
  numbers = c.decay_steps if several else (c.decay_steps,)
  if c.decay != "none" and min(numbers, default=0) < least:
    raise ValueError(
      f"decay_steps is {c.decay_steps}, but must be at least {least} with "
      f"decay {c.decay!r} and warmup_steps {c.warmup_steps}."
    )
  if c.decay == "none":
    main = optax.constant_schedule(c.learning_rate)
  elif c.decay == "cosine":
    main = optax.cosine_decay_schedule(
      c.learning_rate, c.decay_steps - c.warmup_steps
    )
  else:
    whole = _line(c) if c.decay == "linear" else _stairs(c)
    # `join_schedules` counts from the end of the warm-up.
    main = lambda count: whole(count + c.warmup_steps)
  if not c.warmup_steps:
    return main
  warmup = optax.linear_schedule(0.0, c.learning_rate, c.warmup_steps)
  return optax.join_schedules([warmup, main], [c.warmup_steps])


def _is_span(numbers: tuple[int, ...]) -> bool:
  return len(numbers) == 2 and numbers[0] < numbers[1]


def _line(c: ml_collections.ConfigDict) -> optax.Schedule:
  first, last = c.decay_steps
  return optax.linear_schedule(c.learning_rate, 0.0, last - first, first)


def _stairs(c: ml_collections.ConfigDict) -> optax.Schedule:
  if isinstance(c.decay_steps, tuple):
    return optax.piecewise_constant_schedule(
      c.learning_rate, dict.fromkeys(c.decay_steps, c.decay_factor)
    )
  return optax.exponential_decay(
    c.learning_rate, c.decay_steps, c.decay_factor, staircase=True
  )


def ends_with_run(c: ml_collections.ConfigDict) -> bool:
  """Return whether the decay has no end of its own."""
  return c.decay in ("cosine", "linear") and not c.decay_steps


def fit_to_run(c: ml_collections.ConfigDict, updates: int) -> None:
  """Set the end of a decay that has none.

  Cosine: the last update. Linear, as published for CycleGAN: constant for 100
  of 200 epochs, then to 0 in 101, of which the last one is not trained.

  Args:
    c: of one optimiser, changed in place.
    updates: that the player makes in the run, at least 1.
  """
  with c.ignore_type():
    if c.decay == "cosine":
      c.decay_steps = updates
    else:
      first = round(updates * _CONSTANT)
      c.decay_steps = (first, max(first + 1, round(updates * _END)))


def make(c: ml_collections.ConfigDict) -> optax.GradientTransformation:
  """Build Adam, after optional clipping of the gradient's global norm.

  Args:
    c: a config with the fields learning_rate, b1, b2, eps, grad_clip (largest
      global norm of the gradient, 0 for no limit), and those of `schedule`.
      Steps are updates of the player, not steps of the training loop.

  Returns:
    The optimiser.

  Raises:
    ValueError: if a field is outside its range.
  """
  optimizer = optax.adam(schedule(c), b1=c.b1, b2=c.b2, eps=c.eps)
  if c.grad_clip < 0:
    raise ValueError(
      f"grad_clip is {c.grad_clip}, but must be 0 (off) or positive."
    )
  if c.grad_clip:
    clip = optax.clip_by_global_norm(c.grad_clip)
    optimizer = optax.chain(clip, optimizer)
  # One long vector: separate kernels for hundreds of arrays take a fifth of
  # XLA's compile time.
  return optax.flatten(optimizer)
