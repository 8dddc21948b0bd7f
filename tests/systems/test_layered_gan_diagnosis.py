"""Diagnosis of degenerate layers from metrics."""

import pytest

from foregan_jax.systems.layered_gan import diagnosis

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


def test_healthy_layers_raise_no_alarm():
  assert diagnosis.diagnose(HEALTHY, groups=8) == {}
  assert diagnosis.diagnose({"segmenter/bce": 0.1}, groups=8) == {}


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
def test_each_collapse_has_a_name_and_a_remedy(kind, remedy, changes):
  metrics = HEALTHY | {f"generator/{k}": v for k, v in changes.items()}
  found = diagnosis.diagnose(metrics, groups=8)
  assert list(found) == [kind]
  assert remedy in found[kind]


def test_critic_metrics_reveal_leaks_and_mute_masks():
  found = diagnosis.diagnose(HEALTHY | {"critic/background": 0.5}, groups=8)
  assert list(found) == ["leak"]
  found = diagnosis.diagnose(
    HEALTHY | {"critic/mask_code_accuracy": 0.2}, groups=8
  )
  assert list(found) == ["mute masks"]
