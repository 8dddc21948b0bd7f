"""The generic update, with a system small enough to compute by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from foregan_jax import game, items

_RATE = 0.5


@dataclasses.dataclass(frozen=True)
class Producer:
  """A player that minimises (a - x)^2 and offers 2a."""

  name: str = "producer"
  trains: tuple[str, ...] = ("a",)
  forward_averaged: bool = False

  def forward(self, nets, batch, key):
    return {"product": 2.0 * nets.params["a"]["w"]}

  def loss(self, nets, batch, key):
    gap = nets.params["a"]["w"] - batch["x"].mean()
    offers = self.forward(nets, batch, key)
    return gap**2, game.Made({"gap": gap}, offers=offers)


@dataclasses.dataclass(frozen=True)
class Consumer:
  """A player that minimises b * product.

  It changes `a` if the offer has a gradient.
  """

  name: str = "consumer"
  trains: tuple[str, ...] = ("a", "b")

  def loss(self, nets, batch, key):
    return nets.params["b"]["w"] * batch["product"], game.Made({})


class Toy:
  name = "toy"
  task = "stills"
  best = game.Metric("loss")
  nets = {}
  frozen = {}
  players = (Producer(), Consumer())
  checkpoint_items = {"one": ("a",), "both": ("a", "b")}

  def turn(self, step):
    return ("producer", "consumer")

  def batch_spec(self, batch_size):
    return {"x": jax.ShapeDtypeStruct((batch_size,), jnp.float32)}

  def init(self, key):
    return {"a": {"w": jnp.float32(3.0)}, "b": {"w": jnp.float32(5.0)}}, {}


def _run(turn, steps=1, **kwargs):
  tx = {"producer": optax.sgd(_RATE), "consumer": optax.sgd(_RATE)}
  batch = {"x": jnp.ones((2,))}
  key = jax.random.key(0)
  state = game.init_state(Toy(), tx, key, averaged=kwargs.pop("averaged", ()))
  metrics = {}
  for _ in range(steps):
    state, metrics = game.update(Toy(), tx, turn, state, batch, key, **kwargs)
  return state, metrics


def test_only_nets_of_the_turn_change():
  state, metrics = _run(("producer",))
  # da = 2 (3 - 1) = 4, so a = 3 - .5 * 4.
  assert state.params["a"]["w"] == 1.0
  assert state.params["b"]["w"] == 5.0
  assert metrics["producer/loss"] == 4.0
  assert metrics["producer/gap"] == 2.0
  assert metrics["producer/a/grad_norm"] == 4.0
  assert "consumer/loss" not in metrics
  assert state.step == 1


def test_forward_player_runs_and_its_offers_are_detached():
  state, metrics = _run(("consumer",))
  # The offer is 2a = 6, so db = 6. With its gradient, da would be 2b = 10.
  assert state.params["b"]["w"] == 5.0 - _RATE * 6.0
  assert state.params["a"]["w"] == 3.0
  assert metrics["consumer/a/grad_norm"] == 0.0


def test_offers_are_computed_before_the_update():
  state, metrics = _run(("producer", "consumer"))
  # The offer 2a = 6 is computed with a = 3.
  assert metrics["consumer/loss"] == 5.0 * 6.0
  assert state.params["a"]["w"] == 1.0


def test_order_of_players_is_that_of_the_system():
  one, _ = _run(("producer", "consumer"))
  two, _ = _run(("consumer", "producer"))
  assert one.params["b"]["w"] == two.params["b"]["w"]


def test_unknown_player_is_refused():
  with pytest.raises(ValueError, match="unknown"):
    _run(("unknown",))


def test_decay_of_averages_has_a_warm_up():
  state, _ = _run(("producer",), averaged=("a",), ema_decay=0.9)
  # At step 0 the decay is capped at 1 / 10.
  np.testing.assert_allclose(state.ema["a"]["w"], 3.0 * 0.1 + 1.0 * 0.9)
  assert game.evaluation_nets(state).params["a"]["w"] == state.ema["a"]["w"]
  assert game.evaluation_nets(state).params["b"]["w"] == 5.0


def test_warm_up_of_averages_counts_the_players_own_updates():
  # The producer moves at steps 2 and 3 only. Each time it has the decay of its
  # own first and second update, 1 / 10 and 2 / 11.
  tx = {name: optax.adam(_RATE) for name in ("producer", "consumer")}
  state = game.init_state(Toy(), tx, jax.random.key(0), averaged=("a",))
  average, batch = float(state.ema["a"]["w"]), {"x": jnp.ones((2,))}
  for step, turn in enumerate(["consumer", "consumer", "producer", "producer"]):
    state, _ = game.update(
      Toy(), tx, (turn,), state, batch, jax.random.key(1), ema_decay=0.9
    )
    if turn == "producer":
      decay = (1 + step - 2) / (10 + step - 2)
      average = decay * average + (1 - decay) * float(state.params["a"]["w"])
    np.testing.assert_allclose(state.ema["a"]["w"], average, rtol=1e-5)


def test_forward_averaged_uses_averages(monkeypatch):
  players = (Producer(forward_averaged=True), Consumer())
  monkeypatch.setattr(Toy, "players", players)
  tx = {"producer": optax.sgd(_RATE), "consumer": optax.sgd(_RATE)}
  batch, key = {"x": jnp.ones((2,))}, jax.random.key(0)
  state = game.init_state(Toy(), tx, key, averaged=("a",))
  state = state.replace(ema={"a": {"w": jnp.float32(7.0)}})
  _, metrics = game.update(Toy(), tx, ("consumer",), state, batch, key)
  assert metrics["consumer/loss"] == 5.0 * 2.0 * 7.0
  # In a turn with an update, the current nets compute the offer.
  _, metrics = game.update(
    Toy(), tx, ("producer", "consumer"), state, batch, key
  )
  assert metrics["consumer/loss"] == 5.0 * 2.0 * 3.0


def test_items_hold_their_nets_optimisers_and_step():
  state, _ = _run(("producer", "consumer"), steps=2)
  saved = items.split(Toy(), state)
  assert set(saved["one"]["opt"]) == {"producer"}
  assert set(saved["both"]["opt"]) == {"producer", "consumer"}
  assert saved["both"]["step"] == 2
  fresh = game.init_state(
    Toy(),
    {"producer": optax.sgd(_RATE), "consumer": optax.sgd(_RATE)},
    jax.random.key(0),
  )
  back = items.join(fresh, {"both": saved["both"]})
  assert jax.tree.all(jax.tree.map(jnp.array_equal, back, state))


@dataclasses.dataclass(frozen=True)
class Bad:
  """A player whose loss returns `result`."""

  result: game.Made
  name: str = "bad"
  trains: tuple[str, ...] = ("a",)

  def loss(self, nets, batch, key):
    return nets.params["a"]["w"], self.result


@pytest.mark.parametrize(
  ("result", "message"),
  [
    (game.Made({}, offers={"x": 1.0}), "player bad offers x, but the batch"),
    (game.Made({}, offers={"step": 1}), "player bad offers step, but the"),
    (
      game.Made({}, offers={"product": 1.0}),
      "player bad offers product, but the",
    ),
    (game.Made({}, variables={"b": {}}), "variables of b, but trains a"),
    (game.Made({}, memory=jnp.zeros(1)), "a memory, but has no init_memory"),
  ],
)
def test_bad_results_of_a_loss_are_refused(monkeypatch, result, message):
  monkeypatch.setattr(Toy, "players", (Producer(), Bad(result)))
  tx = {"producer": optax.sgd(_RATE), "bad": optax.sgd(_RATE)}
  key = jax.random.key(0)
  state = game.init_state(Toy(), tx, key)
  step = lambda state, batch: game.update(
    Toy(), tx, ("producer", "bad"), state, batch, key
  )
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(step, state, {"x": jnp.ones((2,))})


def test_player_outside_of_all_items_is_refused(monkeypatch):
  state, _ = _run(("producer",))
  monkeypatch.setattr(Toy, "checkpoint_items", {"a": ("a",), "b": ("b",)})
  with pytest.raises(
    ValueError, match="no checkpoint item of toy has .*consumer"
  ):
    items.split(Toy(), state)
