#!/usr/bin/env bash
# Several processes by explicit addresses, without any scheduler.
#
# One machine, N processes over the loopback; N divides its GPUs among them:
#   launch/any.sh 2 --config=configs/davis.py
#
# Several machines, the same line on each with the number of its first process
# (the workdir must be on storage that all of them see):
#   FOREGAN_COORDINATOR=host0:9876 FOREGAN_NUM_PROCESSES=2 FIRST_PROCESS=0 \
#     launch/any.sh 1 --config=configs/davis.py --workdir=/shared/run
#
# One process needs none of this: python -m foregan_jax.main --config=...
set -euo pipefail

if [[ ! ${1:-} =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: $0 NUMBER_OF_PROCESSES_HERE [flags of foregan_jax.main]" >&2
  exit 2
fi
count=$1
shift
python=${PYTHON:-python}
first=${FIRST_PROCESS:-0}
export FOREGAN_NUM_PROCESSES=${FOREGAN_NUM_PROCESSES:-$count}
if [[ -z ${FOREGAN_COORDINATOR:-} ]]; then
  port=$("$python" -c 'import socket
with socket.socket() as s:
  s.bind(("127.0.0.1", 0))
  print(s.getsockname()[1])')
  export FOREGAN_COORDINATOR=127.0.0.1:$port
fi

gpus=0
if [[ -z ${JAX_LOCAL_DEVICE_IDS:-} ]] && command -v nvidia-smi >/dev/null; then
  gpus=$(nvidia-smi --list-gpus | wc -l)
fi
if ((gpus > 0 && gpus % count != 0)); then
  echo "$gpus GPUs cannot be divided among $count processes" >&2
  exit 2
fi

pids=()
# Ctrl-C and SIGTERM reach every process, which save and exit 0.
trap 'kill -TERM "${pids[@]}" 2>/dev/null || true' INT TERM
for ((i = 0; i < count; i++)); do
  (
    export FOREGAN_PROCESS_ID=$((first + i))
    if ((gpus > 0)); then
      each=$((gpus / count))
      JAX_LOCAL_DEVICE_IDS=$(seq -s, $((i * each)) $(((i + 1) * each - 1)))
      export JAX_LOCAL_DEVICE_IDS
    fi
    exec "$python" -m foregan_jax.main "$@"
  ) &
  pids+=($!)
done

# The first failure ends the others, which would wait for it in vain.
status=0
left=$count
while ((left > 0)); do
  code=0
  wait -n || code=$?
  # A trapped signal also ends `wait`, while the processes go on to save.
  alive=$(jobs -pr | wc -l)
  if ((alive < left)); then
    left=$alive
    if ((code != 0 && status == 0)); then
      status=$code
      kill -TERM "${pids[@]}" 2>/dev/null || true
    fi
  fi
done
exit "$status"
