import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from foregan_jax.losses import segmentation
from foregan_jax.nets import segmenter


@pytest.mark.parametrize("size", [(32, 48), (13, 21)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_logits_have_the_size_of_the_image(size, dtype, key):
  module = segmenter.Segmenter(width=4, depth=3, dtype=dtype)
  image = jnp.zeros((2, *size, 3))
  logits, params = jax.eval_shape(module.init_with_output, key, image)
  assert logits.shape == (2, *size, 1)
  assert logits.dtype == jnp.float32
  assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype("float32")}


def test_samples_are_independent(key):
  module = segmenter.Segmenter(width=4, depth=1)
  image = jax.random.normal(key, (3, 16, 16, 3))
  params = jax.jit(module.init)(key, image)
  apply = jax.jit(module.apply)
  changed = image.at[0].set(0)
  np.testing.assert_allclose(
    apply(params, image)[1:], apply(params, changed)[1:], atol=1e-5
  )


def test_training_finds_red_rectangles(key):
  module = segmenter.Segmenter(width=4, depth=1)
  image = -0.5 + 0.1 * jax.random.normal(key, (2, 16, 16, 3))
  mask = jnp.zeros((2, 16, 16, 1)).at[0, 3:9, 4:12].set(1)
  mask = mask.at[1, 8:14, 2:8].set(1)
  image = image.at[..., :1].add(mask)
  params = jax.jit(module.init)(key, image)
  optimizer = optax.adam(1e-2)

  @jax.jit
  def step(params, state):
    loss = lambda p: segmentation.bce(module.apply(p, image), mask)
    updates, state = optimizer.update(jax.grad(loss)(params), state)
    return optax.apply_updates(params, updates), state

  state = optimizer.init(params)
  for _ in range(60):
    params, state = step(params, state)
  correct = (jax.jit(module.apply)(params, image) > 0) == (mask > 0.5)
  assert correct.mean() > 0.97
