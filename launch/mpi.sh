#!/usr/bin/env bash
# Open MPI starts one process per slot; JAX finds the others through it:
#   launch/mpi.sh -np 2 -- --config=configs/davis.py
#   launch/mpi.sh --hostfile hosts -np 4 -- --config=configs/davis.py
# Options of mpirun stand before the `--`, flags of the program after it. On
# several machines Open MPI 5 does not tell JAX its head node: add
# --coordinator=FIRST_HOST:PORT after the `--`.
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

# On SIGTERM mpirun itself would kill the processes a second later, in the
# middle of saving. SIGUSR1 it only passes on, and they take it for the same
# notice. A session of its own keeps a terminal's Ctrl-C away from it.
setsid mpirun "${options[@]}" "${PYTHON:-python}" -m foregan_jax.main "$@" &
mpirun=$!
trap 'kill -USR1 "$mpirun" 2>/dev/null || true' INT TERM
status=0
while kill -0 "$mpirun" 2>/dev/null; do
  status=0
  wait "$mpirun" || status=$?
done
exit "$status"
