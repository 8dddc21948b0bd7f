#!/usr/bin/env bash
# Measure what each player of VOS-ForeGAN adds: train four variants of
# configs/davis.py one after another and write one table, OUT/table.md.
#
#   launch/ablation.sh [OUT [ARGUMENTS]] [flags of foregan_jax.main]
#
# OUT is the folder of the runs. ARGUMENTS is the text after the colon of
# --config (see configs/davis.py). Flags need OUT before them. Examples:
#   launch/ablation.sh                    # demo data, into runs/ablation
#   launch/ablation.sh runs/davis_ablation data=/datasets/DAVIS,small
#   launch/ablation.sh runs/davis_ablation data=/datasets/DAVIS \
#     --config.num_steps=50000
#
# The variants:
#   gan_only        generators and critics only
#   gan_segmenter   also a segmenter, trained on the generated layers; it keeps
#                   objects out of the generated backgrounds
#   gan_propagator  also a propagator, trained on the generated layers
#   full            both, and a loss that trains the generated masks towards the
#                   masks on which segmenter and propagator agree
# Call it again after an interruption: it skips finished runs and resumes the
# others. PYTHON sets the interpreter (default: python).
set -euo pipefail

out=${1:-runs/ablation}
shift || true
arguments=""
if [[ $# -gt 0 && $1 != --* ]]; then
  arguments=:$1
  shift
fi
run_flags=()
for flag in "$@"; do
  run_flags+=("--run_flag=$flag")
done
exec "${PYTHON:-python}" -m foregan_jax.ablate \
  --config="configs/davis.py$arguments" --out="$out" "${run_flags[@]}"
