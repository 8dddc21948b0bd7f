"""animation: every player learns one pair by heart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import animation as config_lib
from foregan_jax import game, stepper, systems
from foregan_jax.runtime import platform

_STEPS = 40


@pytest.fixture(scope="module")
def history():
  """Train on one pair with the smoke nets; return the metrics by name."""
  config = config_lib.get_config("smoke")
  config.colour = (0.0, 0.0, 0.0, 0.0)
  for player in config.optim:
    config.optim[player].learning_rate = 1e-2
    config.optim[player].decay = "none"
  system = systems.build(config)
  tx = stepper.make_optimizers(config, system)
  state = stepper.make_init(config, system, tx, None)(platform.key(0))
  frozen = {name: net.load() for name, net in system.frozen.items()}
  state = state.replace(frozen=frozen)
  x = np.linspace(0, 1, 16)
  image = np.stack(np.broadcast_arrays(x, x[:, None], 0.5 + 0 * x), -1)
  pair = np.stack([image, image])
  pair[0, 4:8, 3:7], pair[1, 8:12, 9:13] = 1.0, 1.0
  pairs = np.uint8(255 * np.stack([pair] * 4))
  batch = {"frames": jnp.asarray(pairs)}
  turn = system.turn(config.num_steps)
  step = jax.jit(lambda state, batch: game.update(
    system, tx, turn, state, batch, platform.key(1)
  ))  # fmt: skip
  metrics = []
  for _ in range(_STEPS):
    state, made = step(state, batch)
    metrics.append(jax.device_get(made))
  return {name: [m[name] for m in metrics] for name in metrics[0]}


@pytest.mark.parametrize(
  "player", ["animator", "painter", "refiner", "bg_base", "bg_refine"]
)
def test_losses_fall(history, player):
  loss = history[f"{player}/loss"]
  assert np.mean(loss[-5:]) < 0.6 * np.mean(loss[:3]), loss


def test_masks_begin_to_move(history):
  assert history["animator/mask_motion"][-1] > 0.02
