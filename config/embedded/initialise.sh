#!/bin/sh
# First start of the postgres container: the same SQL that prepares the embedded server. Passwords come from the environment.
set -eu
export PGPASSWORD="$POSTGRES_PASSWORD"
run() { psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$1" --file "$2"; }
run postgres /hipwatch/roles.sql
run hipwatch /hipwatch/database.sql
