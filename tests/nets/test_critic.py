import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foregan_jax.nets import critic

BOTH = ("fg", "mask")


def shape_and_count(module, size, head="fg"):
  x = jnp.zeros((1, *size, 3))
  init = lambda key: module.init_with_output(key, x, head)
  scores, params = jax.eval_shape(init, jax.random.key(0))
  return scores.shape, sum(p.size for p in jax.tree.leaves(params))


@pytest.mark.parametrize(
  "fields, size, score_map, count",
  [
    ({}, (60, 112), (1, 1), 15_345_601),
    ({}, (80, 112), (3, 1), 15_345_601),
    ({"heads": BOTH}, (224, 416), (12, 20), 15_351_746),
    ({"arch": "Ga", "num_down": 6, "heads": BOTH}, (224, 416), (3, 6),
     44_739_520),
  ],
)  # fmt: skip
def test_map_sizes_and_parameter_counts_of_the_paper(
  fields, size, score_map, count
):
  got = shape_and_count(critic.Critic(**fields), size)
  assert got == ((1, *score_map, 1), count)


def test_shallow_critics_accept_small_patches():
  shape, _ = shape_and_count(critic.Critic(8, num_down=2), (16, 28))
  assert shape == (1, 2, 1, 1)


def test_heads_share_the_trunk_but_differ(key):
  module = critic.Critic(2, num_down=1, heads=BOTH)
  x = jax.random.normal(key, (2, 12, 16, 3))
  params = jax.jit(module.init, static_argnums=2)(key, x, "mask")
  assert {"head_fg", "head_mask"} <= set(params["params"])
  run = lambda head: module.apply(params, x, head)
  assert jnp.abs(run("fg") - run("mask")).max() > 1e-7
  with pytest.raises(ValueError, match="'bg'"):
    run("bg")


def test_masks_are_repeated_to_three_channels(key):
  module = critic.Critic(2, num_down=1)
  mask = jax.random.uniform(key, (2, 12, 16, 1))
  params = jax.jit(module.init, static_argnums=2)(key, mask, "fg")
  np.testing.assert_array_equal(
    module.apply(params, mask, "fg"),
    module.apply(params, jnp.repeat(mask, 3, axis=-1), "fg"),
  )


def test_scores_are_float32_in_bfloat16(key):
  module = critic.Critic(2, num_down=1, dtype=jnp.bfloat16)
  x = jnp.zeros((1, 12, 16, 3))
  scores, _ = jax.eval_shape(
    lambda key: module.init_with_output(key, x, "fg"), key
  )
  assert scores.dtype == jnp.float32
