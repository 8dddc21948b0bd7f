"""Every system at its smoke size, compiled once for all tests."""

import dataclasses
import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax import runs, stepper, systems
from foregan_jax.data import fake
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import platform

# A new system adds its config here; then the contract tests cover it.
CONFIGS = {
  "foregan": "davis", "layered_gan": "layered_gan", "rgmp": "rgmp_voc",
  "memory": "memory", "animation": "animation", "face_parts": "face_parts",
  "face_transfer": "face_transfer",
}  # fmt: skip


@dataclasses.dataclass
class Setup:
  """A system at its smoke size, on all devices."""

  config: Any
  system: Any
  tx: dict
  mesh: Any
  step: stepper.Stepper
  batch: dict
  make_state: Any = None

  def fresh(self, seed=0):
    """Return a new state."""
    if self.make_state is None:
      place = mesh_lib.replicated(self.mesh)
      self.make_state = stepper.make_init(
        self.config, self.system, self.tx, place
      )
    state = self.make_state(jax.random.fold_in(platform.key(7), seed))
    frozen = runs.load_frozen(self.system, None)
    return state.replace(frozen=mesh_lib.replicate(self.mesh, frozen))

  def turns(self):
    """Return the distinct turns of the first steps."""
    return list(dict.fromkeys(map(self.system.turn, range(12))))

  def run(self, turn, state, batch=None):
    """Run a turn on a copy of the state."""
    place = mesh_lib.replicated(self.mesh)
    batch = self.batch if batch is None else batch
    batch = mesh_lib.to_global(self.mesh, batch)
    key = jax.device_put(platform.key(1), place)
    if turn not in self.step.programs:
      self.step.compile(turn, state, batch, key)
    return self.step(turn, jax.tree.map(jnp.copy, state), batch, key)


@pytest.fixture(scope="session")
def load_config():
  """Return a function that loads `configs/<name>.py` with an argument."""

  def load(name, arg):
    module = importlib.import_module(f"configs.{name}")
    return module.get_config(arg)

  return load


@pytest.fixture(scope="session", params=sorted(systems.SYSTEMS))
def setup(request, load_config):
  """Return each system at its smoke size."""
  config = load_config(CONFIGS[request.param], "smoke")
  system = systems.build(config)
  tx = stepper.make_optimizers(config, system)
  mesh = mesh_lib.make_mesh(jax.devices())
  step = stepper.Stepper(system, tx, mesh, ema_decay=config.ema_decay)
  source = fake.Fake(system.batch_spec(1), seed=3)
  rows = [source[i] for i in range(config.batch_size)]
  batch = jax.tree.map(lambda *x: np.stack(x), *rows)
  return Setup(config, system, tx, mesh, step, batch)
