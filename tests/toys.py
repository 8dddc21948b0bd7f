"""A small system with all that the contract allows beside losses.

It is like a CycleGAN: the discriminator keeps an image pool (memory), the
generator has batch norm with running statistics (variables), and its loss uses
the features of a network that nobody trains (frozen).
"""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from foregan_jax import game, stepper, tasks
from foregan_jax.runtime import mesh as mesh_lib
from foregan_jax.runtime import platform

SIDE, BATCH, POOL = 4, 4, 6


class Net(nn.Module):
  """A convolution, with or without batch norm."""

  norm: bool = False

  @nn.compact
  def __call__(self, x, train: bool = False):
    """Return an array of the shape of `x` [b, h, w, 1]."""
    x = nn.Conv(1, (3, 3))(x)
    if self.norm:
      x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)
    return x


@dataclasses.dataclass(frozen=True)
class Generator:
  """Minimises -D(G(x)) and the distance of frozen features; offers G(x)."""

  name: str = "generator"
  trains: tuple[str, ...] = ("g",)

  def loss(self, nets, batch, key):
    """Return the loss; update the running statistics."""
    fake, updated = Net(norm=True).apply(
      nets["g"], batch["image"], train=True, mutable=["batch_stats"]
    )
    features = lambda x: Net().apply(nets["f"], x)
    distance = jnp.abs(features(fake) - features(batch["image"])).mean()
    score = Net().apply(nets["d"], fake).mean()
    return distance - score, game.Made(
      {"distance": distance}, variables={"g": updated}, offers={"fake": fake}
    )


@dataclasses.dataclass(frozen=True)
class Discriminator:
  """Minimises D(pooled fakes) - D(real) with an image pool."""

  name: str = "discriminator"
  trains: tuple[str, ...] = ("d",)

  def init_memory(self):
    """Return an empty pool."""
    return {
      "images": jnp.zeros((POOL, SIDE, SIDE, 1)),
      "count": jnp.zeros((), jnp.int32),
    }

  def loss(self, nets, batch, key):
    """Replace half of the fakes by pooled ones; the new ones go to the pool."""
    pool, count = nets.memory["images"], nets.memory["count"]
    place = (count + jnp.arange(BATCH)) % POOL
    use_pool = jax.random.bernoulli(key, 0.5, (BATCH, 1, 1, 1)) & (
      count >= POOL
    )
    fake = jnp.where(use_pool, pool[place], batch["fake"])
    memory = {
      "images": pool.at[place].set(batch["fake"]),
      "count": count + BATCH,
    }
    score = lambda x: Net().apply(nets["d"], x).mean()
    value = score(fake) - score(batch["image"])
    penalty = 0.1 * (score(fake) ** 2 + score(batch["image"]) ** 2)
    return value + penalty, game.Made(
      {"pooled": use_pool.mean()}, memory=memory
    )


@dataclasses.dataclass(frozen=True)
class Toy:
  """The system."""

  weights: pathlib.Path
  name: str = "toy"
  task: str = tasks.STILLS
  best: game.Metric = game.Metric("loss", higher_is_better=False)
  heads: tuple[str, ...] = ("image",)
  players = (Generator(), Discriminator())
  checkpoint_items = {"gan": ("g", "d")}
  nets = {"g": Net(norm=True), "d": Net()}

  @property
  def frozen(self):
    """Return `f`, read from a file."""
    return {"f": game.FrozenNet(str(self.weights), lambda: load(self.weights))}

  def init(self, key):
    """Return fresh params and variables."""
    x = jnp.zeros((1, SIDE, SIDE, 1))
    g, d = (n.init(k, x) for n, k in zip(
      self.nets.values(), jax.random.split(key), strict=True
    ))  # fmt: skip
    stats = {"batch_stats": g["batch_stats"]}
    return {"g": g["params"], "d": d["params"]}, {"g": stats}

  def turn(self, step):
    """Both players move."""
    return ("generator", "discriminator")

  def batch_spec(self, batch_size):
    """Return the spec of a batch of images."""
    shape = (batch_size, SIDE, SIDE, 1)
    return {"image": jax.ShapeDtypeStruct(shape, jnp.float32)}

  def predict(self, nets, batch):
    """Return G(x) with running statistics."""
    return {"image": Net(norm=True).apply(nets["g"], batch["image"])}

  def cluster(self, nets, batch):
    """Not used."""

  def sample(self, nets, key, count):
    """Not used."""


def save(path: pathlib.Path, seed: int = 0) -> pathlib.Path:
  """Write weights of the frozen net."""
  kernel = np.random.default_rng(seed).normal(size=(3, 3, 1, 1))
  np.savez(path, kernel=kernel.astype(np.float32), bias=np.zeros(1, np.float32))
  return path


def load(path: pathlib.Path):
  """Read weights of the frozen net."""
  with np.load(path) as arrays:
    return {"params": {"Conv_0": dict(arrays)}}


def batch(step: int) -> dict[str, np.ndarray]:
  """Return the global batch of a step."""
  rng = np.random.default_rng(step)
  image = rng.normal(size=(BATCH, SIDE, SIDE, 1))
  return {"image": image.astype(np.float32)}


@dataclasses.dataclass
class Loop:
  """Compiled steps of the toy on some devices."""

  system: Toy
  devices: list

  def __post_init__(self):
    """Prepare mesh, optimisers and the compiled step."""
    self.mesh = mesh_lib.make_mesh(self.devices)
    self.tx = {p.name: optax.sgd(0.1) for p in self.system.players}
    self.step = stepper.Stepper(self.system, self.tx, self.mesh, ema_decay=0.5)

  def init(self):
    """Return the first state, with the frozen net."""
    place = mesh_lib.replicated(self.mesh)
    make = jax.jit(
      lambda key: game.init_state(self.system, self.tx, key, averaged=("g",)),
      out_shardings=place,
    )
    frozen = {net: f.load() for net, f in self.system.frozen.items()}
    frozen = mesh_lib.replicate(self.mesh, frozen)
    return make(platform.key(0)).replace(frozen=frozen)

  def run(self, state, steps):
    """Run the steps; the state that is passed in is donated."""
    key = mesh_lib.replicate(self.mesh, platform.key(1))
    turn = self.system.turn(0)
    rows = BATCH // jax.process_count()
    start = rows * jax.process_index()
    for i in steps:
      local = {k: v[start : start + rows] for k, v in batch(i).items()}
      inputs = mesh_lib.to_global(self.mesh, local)
      if turn not in self.step.programs:
        self.step.compile(turn, state, inputs, key)
      state, metrics = self.step(turn, state, inputs, key)
    return state, metrics
