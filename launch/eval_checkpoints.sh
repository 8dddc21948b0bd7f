#!/usr/bin/env bash
# Evaluate the checkpoints of a run while another process trains it.
#
#   launch/eval_checkpoints.sh WORKDIR [flags of foregan_jax.evaluate]
#
# It waits for checkpoints, evaluates each one once, and ends after the last
# step of the run. Call it again after an interruption. Examples:
#   launch/eval_checkpoints.sh runs/davis
#   PLATFORM=cuda CUDA_VISIBLE_DEVICES=7 \
#     launch/eval_checkpoints.sh runs/davis --data=/datasets/DAVIS
# Results, in WORKDIR/eval/BENCHMARK/:
#   steps.csv          the scores of every step
#   best.safetensors   the weights of the best step, for predict --weights=FILE
#   step-N/            masks and scores of a step
# PLATFORM is where it runs; by default on CPUs (cpu), because the training uses
# all accelerators. PYTHON sets the interpreter (default: python).
set -euo pipefail

if (($# == 0)) || [[ $1 == -* ]]; then
  echo "usage: $0 WORKDIR [flags of foregan_jax.evaluate]" >&2
  exit 2
fi
workdir=$1
shift
export JAX_PLATFORMS=${PLATFORM:-cpu}
exec "${PYTHON:-python}" -m foregan_jax.evaluate --workdir="$workdir" \
  --step=follow "$@"
