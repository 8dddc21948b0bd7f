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
exec mpirun "${options[@]}" "${PYTHON:-python}" -m foregan_jax.main "$@"
