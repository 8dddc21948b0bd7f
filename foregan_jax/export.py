"""Write the trained weights of a run into one file.

  python -m foregan_jax.export --workdir=runs/memory --out=memory.safetensors

The file has the networks that evaluation uses (averaged parameters where there
are any) as float16, and the run's config without the paths of its data. Frozen
networks are not in it. `foregan_jax.predict track --weights=FILE` and
`foregan_jax.evaluate --weights=FILE` use it in place of a run.
"""

import pathlib

import numpy as np
from absl import flags

from foregan_jax import runs, weight_files
from foregan_jax.runtime import cli


def export(
  workdir: str | pathlib.Path,
  out: str | pathlib.Path,
  *,
  step: str = "best",
  about: str = "",
  float32: bool = False,
) -> None:
  """Write a weight file.

  Args:
    workdir: of the run.
    out: the file, with the suffix .safetensors.
    step: `best`, `latest` or a number.
    about: a text for the file's header: data, licence, scores.
    float32: twice the size, and the exact weights.

  Raises:
    ValueError: if the run or the step does not exist, or `out` has another
      suffix.
  """
  out = pathlib.Path(out)
  if out.suffix != ".safetensors":
    raise ValueError(f"--out={out}: expected a name that ends in .safetensors")
  run = runs.Run(workdir)
  number, nets = run.load(step)
  out.parent.mkdir(parents=True, exist_ok=True)
  weight_files.write(
    out,
    nets,
    run.config,
    dtype=np.float32 if float32 else np.float16,
    about={"step": str(number), "about": about},
  )
  print(f"step {number}: {out}, {out.stat().st_size / 2**20:.1f} MiB")


def main() -> None:
  """Export what the flags name."""
  export(
    _WORKDIR.value,
    _OUT.value,
    step=_STEP.value,
    about=_ABOUT.value,
    float32=_FLOAT32.value,
  )


if __name__ == "__main__":
  _WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run.", required=True
  )
  _OUT = flags.DEFINE_string(
    "out", None, "The file to write, NAME.safetensors.", required=True
  )
  _STEP = flags.DEFINE_string(
    "step", "best", "Which checkpoint: best, latest or a number."
  )
  _ABOUT = flags.DEFINE_string(
    "about", "", "A text for the file's header: data, licence, scores."
  )
  _FLOAT32 = flags.DEFINE_bool(
    "float32", False, "Exact weights and twice the size, instead of float16."
  )
  cli.run(main)
