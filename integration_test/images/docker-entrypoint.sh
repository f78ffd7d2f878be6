#!/bin/sh
# Starts PostgreSQL in a webhooks-test-postgres image; the first start creates the cluster. It uses
# the variables that the tests and `webhooks demo` also set for the official image:
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE (required), POSTGRES_USER and POSTGRES_DB (default postgres),
# POSTGRES_INITDB_ARGS; arguments after "postgres" are the server's.
set -eu
: "${PGDATA:=/var/lib/postgresql/data}" "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}" "${POSTGRES_INITDB_ARGS:=}"

# `docker run IMAGE -c fsync=off` means `postgres -c fsync=off`; another command is run as it is.
case "${1:-postgres}" in
  -*) set -- postgres "$@" ;;
  postgres) [ $# -gt 0 ] || set -- postgres ;;
  *) exec "$@" ;;
esac

if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
  POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
  export POSTGRES_PASSWORD
  unset POSTGRES_PASSWORD_FILE
fi

# The server refuses to run as root.
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA"
  chmod 0700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

first_start() {
  : "${POSTGRES_PASSWORD:?is needed to make a cluster}"
  secret=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" >"$secret"
  # shellcheck disable=SC2086 # several arguments on purpose
  initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile="$secret" --auth=scram-sha-256 \
    --encoding=UTF8 --no-locale --no-sync $POSTGRES_INITDB_ARGS
  rm "$secret"
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  [ "$POSTGRES_DB" = postgres ] || echo "create database \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA" postgres
}

[ -s "$PGDATA/PG_VERSION" ] || first_start
shift
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
