#!/usr/bin/env bash
# Start several processes of one run without a scheduler.
#
#   launch/any.sh NUMBER_OF_PROCESSES_HERE [flags of foregan_jax.main]
#
# One machine, here with two processes. They share its GPUs evenly, so the
# number of processes must divide the number of GPUs:
#   launch/any.sh 2 --config=configs/davis.py --batch_per_device=1
#
# Several machines: run the same command on each, with these variables:
#   FOREGAN_COORDINATOR    HOST:PORT of the first machine, any free port
#   FOREGAN_NUM_PROCESSES  number of processes on all machines together
#   FIRST_PROCESS          index of the first process of this machine, from 0
# The workdir must be on storage that all machines share. The first of two
# machines, and then the second:
#   FOREGAN_COORDINATOR=host0:9876 FOREGAN_NUM_PROCESSES=2 FIRST_PROCESS=0 \
#     launch/any.sh 1 --config=configs/davis.py --batch_per_device=1 \
#     --workdir=/shared/run
#   FOREGAN_COORDINATOR=host0:9876 FOREGAN_NUM_PROCESSES=2 FIRST_PROCESS=1 \
#     launch/any.sh 1 --config=configs/davis.py --batch_per_device=1 \
#     --workdir=/shared/run
#
# PYTHON sets the interpreter (default: python). If JAX_LOCAL_DEVICE_IDS is set,
# every process uses these GPUs and the script does not divide them.
# A single process that uses all GPUs of its machine does not need this script:
#   python -m foregan_jax.main --config=configs/davis.py --batch_per_device=2
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
# Forward Ctrl-C and SIGTERM to every process: they save and exit with status 0.
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

# If one process fails, stop the others, which would wait for it.
status=0
running=$count
while ((running > 0)); do
  code=0
  wait -n || code=$?
  # A trapped signal also ends `wait`, although the processes are still saving.
  alive=$(jobs -pr | wc -l)
  if ((alive < running)); then
    running=$alive
    if ((code != 0 && status == 0)); then
      status=$code
      kill -TERM "${pids[@]}" 2>/dev/null || true
    fi
  fi
done
exit "$status"
