"""The generic update, on a system that can be computed by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from foregan_jax import game, items

_RATE = 0.5


@dataclasses.dataclass(frozen=True)
class Maker:
  """Minimises (a - x)^2 and offers 2a."""

  name: str = "maker"
  trains: tuple[str, ...] = ("a",)
  forward_averaged: bool = False

  def forward(self, nets, batch, key):
    return {"made": 2.0 * nets.params["a"]["w"]}

  def loss(self, nets, batch, key):
    gap = nets.params["a"]["w"] - batch["x"].mean()
    offers = self.forward(nets, batch, key)
    return gap**2, game.Made({"gap": gap}, offers=offers)


@dataclasses.dataclass(frozen=True)
class Taker:
  """Minimises b * made; changes `a` if the offer keeps its gradient."""

  name: str = "taker"
  trains: tuple[str, ...] = ("a", "b")

  def loss(self, nets, batch, key):
    return nets.params["b"]["w"] * batch["made"], game.Made({})


class Toy:
  name = "toy"
  task = "stills"
  best = game.Metric("loss")
  nets = {}
  frozen = {}
  players = (Maker(), Taker())
  checkpoint_items = {"one": ("a",), "both": ("a", "b")}

  def turn(self, step):
    return ("maker", "taker")

  def batch_spec(self, batch_size):
    return {"x": jax.ShapeDtypeStruct((batch_size,), jnp.float32)}

  def init(self, key):
    return {"a": {"w": jnp.float32(3.0)}, "b": {"w": jnp.float32(5.0)}}, {}


def _run(turn, steps=1, **kwargs):
  tx = {"maker": optax.sgd(_RATE), "taker": optax.sgd(_RATE)}
  batch = {"x": jnp.ones((2,))}
  key = jax.random.key(0)
  state = game.init_state(Toy(), tx, key, averaged=kwargs.pop("averaged", ()))
  metrics = {}
  for _ in range(steps):
    state, metrics = game.update(Toy(), tx, turn, state, batch, key, **kwargs)
  return state, metrics


def test_only_trained_nets_of_the_turn_change():
  state, metrics = _run(("maker",))
  # da = 2 (3 - 1) = 4, so a = 3 - .5 * 4.
  assert state.params["a"]["w"] == 1.0
  assert state.params["b"]["w"] == 5.0
  assert metrics["maker/loss"] == 4.0
  assert metrics["maker/gap"] == 2.0
  assert metrics["maker/a/grad_norm"] == 4.0
  assert "taker/loss" not in metrics
  assert state.step == 1


def test_forward_player_runs_and_its_offers_are_detached():
  state, metrics = _run(("taker",))
  # The offer is 2a = 6, so db = 6. With its gradient, da would be 2b = 10.
  assert state.params["b"]["w"] == 5.0 - _RATE * 6.0
  assert state.params["a"]["w"] == 3.0
  assert metrics["taker/a/grad_norm"] == 0.0


def test_later_players_use_the_offer_from_before_the_update():
  state, metrics = _run(("maker", "taker"))
  # The offer 2a = 6 was made with a = 3.
  assert metrics["taker/loss"] == 5.0 * 6.0
  assert state.params["a"]["w"] == 1.0


def test_order_is_that_of_the_system_not_of_the_turn():
  one, _ = _run(("maker", "taker"))
  two, _ = _run(("taker", "maker"))
  assert one.params["b"]["w"] == two.params["b"]["w"]


def test_unknown_player_is_refused():
  with pytest.raises(ValueError, match="nobody"):
    _run(("nobody",))


def test_averages_have_a_warm_up():
  state, _ = _run(("maker",), averaged=("a",), ema_decay=0.9)
  # At step 0 the decay is capped at 1 / 10.
  np.testing.assert_allclose(state.ema["a"]["w"], 3.0 * 0.1 + 1.0 * 0.9)
  assert game.evaluation_nets(state).params["a"]["w"] == state.ema["a"]["w"]
  assert game.evaluation_nets(state).params["b"]["w"] == 5.0


def test_forward_averaged_uses_averages(monkeypatch):
  players = (Maker(forward_averaged=True), Taker())
  monkeypatch.setattr(Toy, "players", players)
  tx = {"maker": optax.sgd(_RATE), "taker": optax.sgd(_RATE)}
  batch, key = {"x": jnp.ones((2,))}, jax.random.key(0)
  state = game.init_state(Toy(), tx, key, averaged=("a",))
  state = state.replace(ema={"a": {"w": jnp.float32(7.0)}})
  _, metrics = game.update(Toy(), tx, ("taker",), state, batch, key)
  assert metrics["taker/loss"] == 5.0 * 2.0 * 7.0
  # In a turn with an update, the offer is that of the current nets.
  _, metrics = game.update(Toy(), tx, ("maker", "taker"), state, batch, key)
  assert metrics["taker/loss"] == 5.0 * 2.0 * 3.0


def test_items_hold_their_nets_optimisers_and_step():
  state, _ = _run(("maker", "taker"), steps=2)
  saved = items.split(Toy(), state)
  assert set(saved["one"]["opt"]) == {"maker"}
  assert set(saved["both"]["opt"]) == {"maker", "taker"}
  assert saved["both"]["step"] == 2
  fresh = game.init_state(
    Toy(),
    {"maker": optax.sgd(_RATE), "taker": optax.sgd(_RATE)},
    jax.random.key(0),
  )
  back = items.join(fresh, {"both": saved["both"]})
  assert jax.tree.all(jax.tree.map(jnp.array_equal, back, state))


@dataclasses.dataclass(frozen=True)
class Bad:
  """A player whose loss returns what its test passes."""

  made: game.Made
  name: str = "bad"
  trains: tuple[str, ...] = ("a",)

  def loss(self, nets, batch, key):
    return nets.params["a"]["w"], self.made


@pytest.mark.parametrize(
  ("made", "message"),
  [
    (game.Made({}, offers={"x": 1.0}), "player bad offers x, but the batch"),
    (game.Made({}, offers={"step": 1}), "player bad offers step, but the"),
    (game.Made({}, offers={"made": 1.0}), "player bad offers made, but the"),
    (game.Made({}, variables={"b": {}}), "variables of b, but trains a"),
    (game.Made({}, memory=jnp.zeros(1)), "a memory, but has no init_memory"),
  ],
)
def test_bad_results_of_a_loss_are_refused(monkeypatch, made, message):
  monkeypatch.setattr(Toy, "players", (Maker(), Bad(made)))
  tx = {"maker": optax.sgd(_RATE), "bad": optax.sgd(_RATE)}
  key = jax.random.key(0)
  state = game.init_state(Toy(), tx, key)
  step = lambda state, batch: game.update(
    Toy(), tx, ("maker", "bad"), state, batch, key
  )
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(step, state, {"x": jnp.ones((2,))})


def test_a_player_outside_of_all_items_is_refused(monkeypatch):
  state, _ = _run(("maker",))
  monkeypatch.setattr(Toy, "checkpoint_items", {"a": ("a",), "b": ("b",)})
  with pytest.raises(ValueError, match="no checkpoint item of toy has .*taker"):
    items.split(Toy(), state)
