#!/usr/bin/env bash
# Start the processes of one run with Open MPI.
#
#   launch/mpi.sh [options of mpirun] -- [flags of foregan_jax.main]
#
# Open MPI starts one process per slot, and JAX reads the number and the index
# of the process from the environment. Examples:
#   launch/mpi.sh -np 2 -- --config=configs/davis.py --batch_per_device=1
#   launch/mpi.sh --hostfile hosts -np 4 -- --config=configs/davis.py \
#     --batch_per_device=1 --workdir=/shared/run
# On several machines the workdir must be on storage that all of them share.
# Open MPI 5 does not provide the address of its head node. With it, on several
# machines, add --coordinator=FIRST_HOST:PORT after the `--`.
# SIGTERM and Ctrl-C to this script let all processes save and exit with status
# 0. PYTHON sets the interpreter (default: python).
set -euo pipefail

options=()
while (($# > 0)) && [[ $1 != -- ]]; do
  options+=("$1")
  shift
done
if (($# == 0)); then
  echo "usage: $0 [options of mpirun] -- [flags of foregan_jax.main]" >&2
  exit 2
fi
shift

# On SIGTERM mpirun would kill the processes after a second, while they save. It
# only forwards SIGUSR1, which the processes handle like SIGTERM. With setsid,
# a terminal's Ctrl-C reaches this script only, not mpirun.
setsid mpirun "${options[@]}" "${PYTHON:-python}" -m foregan_jax.main "$@" &
mpirun=$!
trap 'kill -USR1 "$mpirun" 2>/dev/null || true' INT TERM
status=0
while kill -0 "$mpirun" 2>/dev/null; do
  status=0
  wait "$mpirun" || status=$?
done
exit "$status"
