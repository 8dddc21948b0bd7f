#!/usr/bin/env bash
# Evaluate the checkpoints of a run while another process trains it.
#
#   launch/eval_checkpoints.sh WORKDIR [flags of foregan_jax.evaluate]
#
# It waits for the run and its checkpoints, evaluates each one once, and ends
# after the last step. A training keeps two checkpoints and the best one; if it
# saves them faster than they can be evaluated, raise its
# --config.keep_checkpoints. Call the script again after an interruption, and
# stop it if the training is not continued. Examples, the second one with a GPU
# that the training leaves free:
#   launch/eval_checkpoints.sh runs/davis
#   EVAL_PLATFORM=cuda CUDA_VISIBLE_DEVICES=7 \
#     launch/eval_checkpoints.sh runs/davis --data=/datasets/DAVIS
# Results, in WORKDIR/eval/BENCHMARK/:
#   steps.csv          the scores of every step
#   best.safetensors   the weights of the best step, as foregan_jax.export
#                      writes them
#   step-N/            masks and scores of a step
# EVAL_PLATFORM is where it runs; by default on CPUs (cpu), because the training
# uses all accelerators. PYTHON sets the interpreter (default: python).
set -euo pipefail

if (($# == 0)) || [[ $1 == -* ]]; then
  echo "usage: $0 WORKDIR [flags of foregan_jax.evaluate]" >&2
  exit 2
fi
workdir=$1
shift
export JAX_PLATFORMS=${EVAL_PLATFORM:-cpu}
exec "${PYTHON:-python}" -m foregan_jax.evaluate --workdir="$workdir" \
  --step=new "$@"
