"""Train, evaluate or benchmark: flags, a log of the devices, one call.

`python -m foregan_jax.main --config=configs/davis.py`
"""

import pathlib
import re

import jax
from absl import flags
from ml_collections import config_flags

from foregan_jax import bench, evaluate, train
from foregan_jax.runtime import batching, cli, distributed

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  None,
  "Config file, with its argument after a colon: configs/davis.py:smoke.",
  lock_config=True,
)
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of everything that the run writes, or gs://BUCKET/FOLDER. Default: "
  "runs/CONFIG.",
)
_MODE = flags.DEFINE_enum(
  "mode", "train", ["train", "eval", "bench"], "What to do."
)
_BATCH_PER_DEVICE = flags.DEFINE_integer(
  "batch_per_device",
  None,
  "Rows of a batch on each device, in place of the config's global batch.",
  lower_bound=1,
)
_LEARNING_RATE_RULE = flags.DEFINE_enum(
  "learning_rate_rule",
  "none",
  list(batching.RULES),
  "With --batch_per_device: how learning rates grow with the global batch.",
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator", None, "HOST:PORT of process 0, for several processes."
)
_NUM_PROCESSES = flags.DEFINE_integer(
  "num_processes", None, "Number of processes of the run.", lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
  "process_id", None, "Number of this process, from 0.", lower_bound=0
)


def default_workdir(config_file: str) -> str:
  """Return a folder named after the config and the words after the colon.

  Args:
    config_file: the flag's value, such as "configs/davis.py:smoke".

  Returns:
    A relative folder, such as "runs/davis-smoke".
  """
  path, _, arg = config_file.partition(":")
  name = pathlib.PurePath(path).stem
  return str(
    pathlib.PurePath("runs", re.sub(r"\W+", "-", f"{name}-{arg}").strip("-"))
  )


def main() -> None:
  """Run the chosen mode."""
  distributed.initialize(
    coordinator=_COORDINATOR.value,
    num_processes=_NUM_PROCESSES.value,
    process_id=_PROCESS_ID.value,
  )
  distributed.log_devices()
  config = _CONFIG.value
  if _LEARNING_RATE_RULE.value != "none" and not _BATCH_PER_DEVICE.value:
    raise ValueError(
      f"--learning_rate_rule={_LEARNING_RATE_RULE.value} needs "
      "--batch_per_device=N"
    )
  if per_device := _BATCH_PER_DEVICE.value:
    batching.set_per_device(
      config, per_device, jax.device_count(), _LEARNING_RATE_RULE.value
    )
  workdir = _WORKDIR.value or default_workdir(
    config_flags.get_config_filename(flags.FLAGS["config"])
  )
  match _MODE.value:
    case "train":
      train.train_and_evaluate(config, workdir)
    case "eval":
      evaluate.evaluate(workdir)
    case "bench":
      bench.run(config)


if __name__ == "__main__":
  flags.mark_flag_as_required("config")
  cli.run(main)
