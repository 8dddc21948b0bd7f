#!/usr/bin/env bash
# Run the same command on every host of a Cloud TPU slice.
#
#   launch/tpu_pod.sh TPU_NAME ZONE [flags of foregan_jax.main]
#
# JAX detects the hosts of the slice. Each host needs this repository in
# ~/foregan_jax and the package installed for python3. The workdir is an
# address in Google's cloud (install the extra `cloud`), or on a file system that
# all hosts mount:
#   launch/tpu_pod.sh TPU_NAME ZONE --config=configs/davis.py \
#     --batch_per_device=1 --workdir=gs://BUCKET/run
# Not tested on a TPU.
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
