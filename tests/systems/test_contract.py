"""The contract that every system must satisfy, at its smoke size."""

import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax import game, items
from foregan_jax.runtime import collectives

# The last bias of a Wasserstein critic cancels in E D(fake) - E D(real), and
# the penalty does not depend on it.
_CANCELS = {
  "foregan": ("df/head_fg/bias", "df/head_mask/bias", "db/head_fg/bias")
}


def _same(a, b):
  return jax.tree.all(jax.tree.map(jnp.array_equal, a, b))


def test_init_depends_only_on_the_key(setup):
  assert _same(setup.fresh(0), setup.fresh(0))
  one, two = setup.fresh(0).params, setup.fresh(1).params
  assert not any(_same(one[net], two[net]) for net in one)


def test_every_net_has_one_item_and_a_player(setup):
  system = setup.system
  saved = [n for nets in system.checkpoint_items.values() for n in nets]
  assert sorted(saved) == sorted(system.nets)
  assert sorted(saved) == sorted(setup.fresh().params)
  assert {n for p in system.players for n in p.trains} == set(saved)


def test_turn_changes_only_the_nets_of_its_players(setup):
  state = setup.fresh()
  for turn in setup.turns():
    updated, metrics = setup.run(turn, state)
    # See layers/moments.py.
    assert "lapack" not in setup.step.programs[turn].as_text()
    assert jax.tree.structure(updated) == jax.tree.structure(state)
    spec = lambda s: jax.tree.map(lambda x: (x.shape, x.dtype), s)
    assert spec(updated) == spec(state)
    assert updated.step == 1
    players = [p for p in setup.system.players if p.name in turn]
    trained = {net for player in players for net in player.trains}
    for net in state.params:
      same = _same(state.params[net], updated.params[net])
      assert same == (net not in trained), (turn, net)
    for name, value in metrics.items():
      assert value.dtype == jnp.float32 and value.shape == (), name
      assert np.isfinite(value), name
    assert {name.split("/")[0] for name in metrics} == set(turn)


def test_every_parameter_changes(setup):
  before = after = setup.fresh()
  # Two rounds: a zero-initialised layer blocks gradients in the first one.
  for turn in 2 * setup.turns():
    after, _ = setup.run(turn, after)
  same = jax.tree.map(jnp.array_equal, before.params, after.params)
  unchanged = [
    jax.tree_util.keystr(path, simple=True, separator="/")
    for path, equal in jax.tree_util.tree_leaves_with_path(same)
    if equal
  ]
  assert set(unchanged) <= set(_CANCELS.get(setup.system.name, ()))


def test_each_distinct_turn_has_one_program(setup):
  state = setup.fresh()
  for step in range(6):
    state, _ = setup.run(setup.system.turn(step), state)
  assert set(setup.step.programs) <= set(setup.turns())


def test_devices_share_the_work(setup):
  # If every device computed all of the batch, or all of what is drawn from a
  # key, gradients would not be summed over the devices. On CPU the sums are
  # larger than the parameters: a convolution's kernel is padded.
  for turn in setup.turns():
    setup.run(turn, setup.fresh())
    results = collectives.count_bytes(setup.step.programs[turn].as_text())
    players = [p for p in setup.system.players if p.name in turn]
    nets = {net for player in players for net in player.trains}
    params = [setup.fresh().params[net] for net in nets]
    expected = sum(x.nbytes for x in jax.tree.leaves(params))
    assert results["all-reduce"] >= expected, (turn, results)


def test_joined_items_equal_the_state(setup):
  state, other = setup.fresh(0), setup.fresh(1)
  whole = items.join(other, items.split(setup.system, state))
  assert _same(whole, state)


def test_single_item_restores_only_its_nets(setup):
  state, other = setup.fresh(0), setup.fresh(1)
  saved = items.split(setup.system, state)
  for item, nets in setup.system.checkpoint_items.items():
    mixed = items.join(other, {item: saved[item]})
    for net in state.params:
      source = state if net in nets else other
      assert _same(mixed.params[net], source.params[net]), (item, net)


def test_predictions_have_all_heads(setup):
  state = setup.fresh()
  nets = game.evaluation_nets(state)
  lowered = jax.jit(setup.system.predict).lower(nets, setup.batch)
  assert "lapack" not in lowered.as_text()  # see layers/moments.py
  masks = lowered.compile()(nets, setup.batch)
  for head in setup.system.heads:
    mask = np.asarray(masks[head])
    assert np.isfinite(mask).all(), head
    assert mask.min() >= 0.0 and mask.max() <= 1.0, head
