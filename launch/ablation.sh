#!/usr/bin/env bash
# What each part of the game adds: one run per variant, one table.
#
#   launch/ablation.sh                            the demo, into runs/ablation
#   launch/ablation.sh runs/mine data=DAVIS,small further words after the colon
#   launch/ablation.sh runs/mine data=DAVIS --config.num_steps=50000
#
# gan_only: the layers alone. gan_segmenter: with a segmenter that learns from
# them and keeps objects out of backgrounds. gan_propagator: with a propagator
# that learns from them. full: both, and what they agree on teaches the masks.
# Runs that are finished are not made again; a stopped one goes on.
set -euo pipefail

out=${1:-runs/ablation}
shift || true
words=""
if [[ $# -gt 0 && $1 != --* ]]; then
  words=:$1
  shift
fi
run_flags=()
for flag in "$@"; do
  run_flags+=("--run_flag=$flag")
done
exec "${PYTHON:-python}" -m foregan_jax.ablate \
  --config="configs/davis.py$words" --out="$out" "${run_flags[@]}"
