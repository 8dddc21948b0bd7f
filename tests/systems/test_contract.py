"""What every system must keep; a new one is covered by its smoke config."""

import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax import game

# A Wasserstein critic's last bias cancels in E D(fake) - E D(real), and the
# penalty is blind to it.
_CANCELS = {
  "foregan": ("df/head_fg/bias", "df/head_mask/bias", "db/head_fg/bias")
}


def _same(a, b):
  return jax.tree.all(jax.tree.map(jnp.array_equal, a, b))


def test_init_follows_from_the_key(played):
  assert _same(played.fresh(0), played.fresh(0))
  one, two = played.fresh(0).params, played.fresh(1).params
  assert not any(_same(one[net], two[net]) for net in one)


def test_every_net_is_saved_in_one_item_and_trained_by_a_player(played):
  system = played.system
  saved = [n for nets in system.checkpoint_items.values() for n in nets]
  assert sorted(saved) == sorted(system.nets)
  assert sorted(saved) == sorted(played.fresh().params)
  assert {n for p in system.players for n in p.trains} == set(saved)


def test_a_turn_moves_who_it_names_and_keeps_the_form(played):
  state = played.fresh()
  for turn in played.turns():
    moved, metrics = played.play(turn, state)
    assert jax.tree.structure(moved) == jax.tree.structure(state)
    spec = lambda s: jax.tree.map(lambda x: (x.shape, x.dtype), s)
    assert spec(moved) == spec(state)
    assert moved.step == 1
    mine = {
      n for p in played.system.players if p.name in turn for n in p.trains
    }
    for net in state.params:
      same = _same(state.params[net], moved.params[net])
      assert same == (net not in mine), (turn, net)
    for name, value in metrics.items():
      assert value.dtype == jnp.float32 and value.shape == (), name
      assert np.isfinite(value), name
    assert {name.split("/")[0] for name in metrics} == set(turn)


def test_every_parameter_learns_something(played):
  before = after = played.fresh()
  # Two rounds: what a zero-initialised layer hides moves in the second.
  for turn in 2 * played.turns():
    after, _ = played.play(turn, after)
  same = jax.tree.map(jnp.array_equal, before.params, after.params)
  stuck = [
    jax.tree_util.keystr(path, simple=True, separator="/")
    for path, still in jax.tree_util.tree_leaves_with_path(same)
    if still
  ]
  assert set(stuck) <= set(_CANCELS.get(played.system.name, ()))


def test_one_program_per_distinct_turn(played):
  state = played.fresh()
  for step in range(6):
    state, _ = played.play(played.system.turn(step), state)
  assert set(played.step.programs) <= set(played.turns())


def test_items_put_together_are_the_state(played):
  state, other = played.fresh(0), played.fresh(1)
  whole = game.join(other, game.split(played.system, state))
  assert _same(whole, state)


def test_one_item_alone_restores_its_nets_only(played):
  state, other = played.fresh(0), played.fresh(1)
  items = game.split(played.system, state)
  for item, nets in played.system.checkpoint_items.items():
    mixed = game.join(other, {item: items[item]})
    for net in state.params:
      source = state if net in nets else other
      assert _same(mixed.params[net], source.params[net]), (item, net)


def test_predictions_have_the_advertised_heads(played):
  state = played.fresh()
  made = jax.jit(played.system.predict)(state.params, played.batch)
  for head in played.system.heads:
    mask = np.asarray(made[head])
    assert np.isfinite(mask).all(), head
    assert mask.min() >= 0.0 and mask.max() <= 1.0, head
