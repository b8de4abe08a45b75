#!/bin/sh
# Run once by PostgreSQL's image, on an empty volume.
set -eu
psql --username postgres --no-psqlrc --set ON_ERROR_STOP=1 \
  --set owner="$OWNER_PASSWORD" --set app="$APP_PASSWORD" \
  --set relay="$RELAY_PASSWORD" --set maintenance="$MAINTENANCE_PASSWORD" \
  --file /preau/create.sql
