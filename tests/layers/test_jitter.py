import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax.layers import jitter


def test_crops_are_at_random_positions_and_half_are_mirrored(key):
  y, x = np.mgrid[:6, :7]
  image = jnp.asarray(np.stack([y, x], -1), jnp.float32)
  many = jnp.broadcast_to(image, (400, 6, 7, 2))
  cut = np.asarray(jitter.crop_and_flip(key, many, (4, 4)))
  assert cut.shape == (400, 4, 4, 2)
  # Rows are consecutive; so are columns, in one of two directions.
  assert (np.diff(cut[..., 0], axis=1) == 1).all()
  step = np.diff(cut[..., 1], axis=2)
  mirrored = (step == -1).all((1, 2))
  assert (mirrored | (step == 1).all((1, 2))).all()
  assert 150 < mirrored.sum() < 250
  assert set(cut[:, 0, 0, 0]) == {0, 1, 2}
  assert set(cut[..., 1].min((1, 2))) == {0, 1, 2, 3}


def test_crop_of_full_size_is_the_image_or_its_mirror_image(key):
  image = jax.random.normal(key, (8, 3, 4, 1))
  cut = jitter.crop_and_flip(key, image, (3, 4))
  same = (cut == image).all((1, 2, 3)) | (cut == image[:, :, ::-1]).all(
    (1, 2, 3)
  )
  assert same.all()
