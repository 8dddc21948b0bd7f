#!/usr/bin/env bash
# The same command on every host of a Cloud TPU slice; JAX finds the others by
# itself. The package must be installed on each host, and the workdir on
# storage that all of them see, such as gs://BUCKET/run:
#   launch/tpu_pod.sh TPU_NAME ZONE --config=configs/davis.py \
#     --workdir=gs://BUCKET/run
set -euo pipefail

if (($# < 2)); then
  echo "usage: $0 TPU_NAME ZONE [flags of foregan_jax.main]" >&2
  exit 2
fi
name=$1
zone=$2
shift 2
printf -v command '%q ' python3 -m foregan_jax.main "$@"
exec gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
  --command="cd foregan_jax && $command"
