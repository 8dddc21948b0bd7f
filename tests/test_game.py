"""The generic update, on a game small enough to work out by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from foregan_jax import game

_RATE = 0.5


@dataclasses.dataclass(frozen=True)
class Maker:
  """Minimises (a - x)^2 and offers 2a."""

  name: str = "maker"
  trains: tuple[str, ...] = ("a",)
  plays_averaged: bool = False

  def play(self, params, variables, batch, key):
    return {"made": 2.0 * params["a"]["w"]}

  def loss(self, params, variables, batch, key):
    gap = params["a"]["w"] - batch["x"].mean()
    offers = self.play(params, variables, batch, key)
    return gap**2, game.Made({"gap": gap}, offers=offers)


@dataclasses.dataclass(frozen=True)
class Taker:
  """Minimises b * made, and would change `a` if the offer were attached."""

  name: str = "taker"
  trains: tuple[str, ...] = ("a", "b")

  def loss(self, params, variables, batch, key):
    return params["b"]["w"] * batch["made"], game.Made({})


class Toy:
  name = "toy"
  task = "stills"
  nets = {}
  players = (Maker(), Taker())
  checkpoint_items = {"one": ("a",), "both": ("a", "b")}

  def turn(self, step):
    return ("maker", "taker")

  def batch_spec(self, batch_size):
    return {"x": jax.ShapeDtypeStruct((batch_size,), jnp.float32)}

  def predict(self, params, batch):
    return {}

  def init(self, key, batch):
    return {"a": {"w": jnp.float32(3.0)}, "b": {"w": jnp.float32(5.0)}}, {}


def _play(turn, steps=1, **kwargs):
  tx = {"maker": optax.sgd(_RATE), "taker": optax.sgd(_RATE)}
  batch = {"x": jnp.ones((2,))}
  key = jax.random.key(0)
  state = game.init_state(
    Toy(), tx, key, batch, averaged=kwargs.pop("averaged", ())
  )
  metrics = {}
  for _ in range(steps):
    state, metrics = game.update(Toy(), tx, turn, state, batch, key, **kwargs)
  return state, metrics


def test_only_the_nets_of_who_moves_change():
  state, metrics = _play(("maker",))
  # da = 2 (3 - 1) = 4, so a = 3 - .5 * 4.
  assert state.params["a"]["w"] == 1.0
  assert state.params["b"]["w"] == 5.0
  assert metrics["maker/loss"] == 4.0
  assert metrics["maker/gap"] == 2.0
  assert metrics["maker/a/grad_norm"] == 4.0
  assert "taker/loss" not in metrics
  assert state.step == 1


def test_who_stands_still_is_played_and_its_offers_are_detached():
  state, metrics = _play(("taker",))
  # The offer is 2a = 6, so db = 6. Attached it would also give da = 2b = 10.
  assert state.params["b"]["w"] == 5.0 - _RATE * 6.0
  assert state.params["a"]["w"] == 3.0
  assert metrics["taker/a/grad_norm"] == 0.0


def test_later_players_see_the_rollout_from_before_the_move():
  state, metrics = _play(("maker", "taker"))
  # One rollout serves all: the offer 2a = 6 was made with a = 3.
  assert metrics["taker/loss"] == 5.0 * 6.0
  assert state.params["a"]["w"] == 1.0


def test_the_order_is_the_systems_not_the_turns():
  one, _ = _play(("maker", "taker"))
  two, _ = _play(("taker", "maker"))
  assert one.params["b"]["w"] == two.params["b"]["w"]


def test_unknown_player_is_refused():
  with pytest.raises(ValueError, match="nobody"):
    _play(("nobody",))


def test_averages_follow_slowly_after_a_warm_up():
  state, _ = _play(("maker",), averaged=("a",), ema_decay=0.9)
  # At step 0 the decay is capped at 1 / 10.
  np.testing.assert_allclose(state.ema["a"]["w"], 3.0 * 0.1 + 1.0 * 0.9)
  assert game.evaluation_params(state)["a"]["w"] == state.ema["a"]["w"]
  assert game.evaluation_params(state)["b"]["w"] == 5.0


def test_who_plays_averaged_lends_its_averages(monkeypatch):
  players = (Maker(plays_averaged=True), Taker())
  monkeypatch.setattr(Toy, "players", players)
  tx = {"maker": optax.sgd(_RATE), "taker": optax.sgd(_RATE)}
  batch, key = {"x": jnp.ones((2,))}, jax.random.key(0)
  state = game.init_state(Toy(), tx, key, batch, averaged=("a",))
  state = state.replace(ema={"a": {"w": jnp.float32(7.0)}})
  _, metrics = game.update(Toy(), tx, ("taker",), state, batch, key)
  assert metrics["taker/loss"] == 5.0 * 2.0 * 7.0
  # In a turn in which it moves, everybody sees what it has just made.
  _, metrics = game.update(Toy(), tx, ("maker", "taker"), state, batch, key)
  assert metrics["taker/loss"] == 5.0 * 2.0 * 3.0


def test_items_hold_their_nets_optimisers_and_step():
  state, _ = _play(("maker", "taker"), steps=2)
  items = game.split(Toy(), state)
  assert set(items["one"]["opt"]) == {"maker"}
  assert set(items["both"]["opt"]) == {"maker", "taker"}
  assert items["both"]["step"] == 2
  fresh = game.init_state(
    Toy(),
    {"maker": optax.sgd(_RATE), "taker": optax.sgd(_RATE)},
    jax.random.key(0),
    {},
  )
  back = game.join(fresh, {"both": items["both"]})
  assert jax.tree.all(jax.tree.map(jnp.array_equal, back, state))
