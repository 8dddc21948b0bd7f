"""Signs of degenerate layers (spec: what is healthy stays silent)."""

import pytest

from foregan_jax.systems.layered_gan import diagnosis as health

HEALTHY = {
  "generator/mask_mean": 0.3,
  "generator/mask_area_spread": 0.1,
  "generator/mask_empty_share": 0.02,
  "generator/binary": 0.05,
  "generator/bg_seg": 0.05,
  "critic/mask_code_accuracy": 0.95,
  "critic/real": 1.0,
  "critic/fake": -1.0,
  "critic/background": -0.9,
}


def test_healthy_layers_give_no_alarm():
  assert health.diagnose(HEALTHY, groups=8) == {}
  assert health.diagnose({"segmenter/bce": 0.1}, groups=8) == {}


@pytest.mark.parametrize(
  "kind, remedy, changes",
  [
    ("all foreground", "perturbation", {"mask_mean": 0.97}),
    ("all background", "info", {"mask_mean": 0.01, "mask_empty_share": 1.0}),
    ("one mask", "info", {"mask_area_spread": 0.001}),
    ("empty masks", "area", {"mask_empty_share": 0.4}),
    ("grey masks", "binary", {"binary": 0.35}),
  ],
)
def test_each_collapse_has_its_name_and_remedy(kind, remedy, changes):
  metrics = HEALTHY | {f"generator/{k}": v for k, v in changes.items()}
  found = health.diagnose(metrics, groups=8)
  assert list(found) == [kind]
  assert remedy in found[kind]


def test_what_the_critic_says():
  found = health.diagnose(HEALTHY | {"critic/background": 0.5}, groups=8)
  assert list(found) == ["leak"]
  found = health.diagnose(
    HEALTHY | {"critic/mask_code_accuracy": 0.2}, groups=8
  )
  assert list(found) == ["mute masks"]
