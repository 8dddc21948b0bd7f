import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from foregan_jax.losses import segmentation
from foregan_jax.nets import segmenter

_KINDS = (segmenter.Segmenter, segmenter.PublishedUNet)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("size", [(32, 48), (13, 21)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_logits_have_the_size_of_the_image(kind, size, dtype, key):
  module = kind(width=4, depth=3, dtype=dtype)
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


def test_published_unet_has_the_published_layers(key):
  """Channels and parameters are those of the table in the paper's code."""
  module = segmenter.PublishedUNet()
  image = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
  variables = jax.eval_shape(module.init, key, image)
  params = variables["params"]
  count = sum(leaf.size for leaf in jax.tree.leaves(params))
  assert count == 13_395_394
  channels = lambda name: params[name]["kernel"].shape[2:]
  first = {name: channels(f"{name}_0") for name in (
    "enc_0", "enc_1", "enc_2", "enc_3", "enc_4", "dec_3", "dec_2", "dec_1",
    "dec_0",
  )}  # fmt: skip
  assert first == {
    "enc_0": (3, 64), "enc_1": (64, 128), "enc_2": (128, 256),
    "enc_3": (256, 512), "enc_4": (512, 512), "dec_3": (1024, 256),
    "dec_2": (512, 128), "dec_1": (256, 64), "dec_0": (128, 64),
  }  # fmt: skip
  assert channels("classes") == (64, 2)
  # A running mean and variance for each of the 18 norms.
  assert len(jax.tree.leaves(variables["batch_stats"])) == 36


def test_only_training_updates_the_running_statistics(key):
  module = segmenter.PublishedUNet(width=4, depth=1)
  image = jax.random.normal(key, (2, 8, 8, 3))
  variables = jax.jit(module.init)(key, image)
  apply = jax.jit(
    lambda x, train: module.apply(
      variables, x, train, mutable=["batch_stats"] if train else []
    ),
    static_argnums=1,
  )
  _, updated = apply(image, True)
  before, after = (
    x["batch_stats"]["enc_0_0_norm"] for x in (variables, updated)
  )
  assert jnp.abs(after["mean"] - before["mean"]).max() > 1e-3
  # Frozen, it does not depend on the other images of its batch.
  one, _ = apply(image, False)
  two, _ = apply(image.at[1].set(0), False)
  np.testing.assert_allclose(one[0], two[0], atol=1e-6)


def test_both_logits_of_the_published_unet_count(key):
  module = segmenter.PublishedUNet(width=4, depth=1)
  image = jax.random.normal(key, (1, 8, 8, 3))
  variables = jax.jit(module.init)(key, image)
  params = variables["params"]
  head = params["classes"] | {"bias": jnp.array([0.25, 1.0])}
  shifted = {**variables, "params": params | {"classes": head}}
  apply = jax.jit(module.apply)
  np.testing.assert_allclose(
    apply(shifted, image) - apply(variables, image), 0.75, atol=1e-5
  )
