-- The role that moves towns between installations (docs/scaling.md), as the superuser, in Préau's
-- database. No process that serves uses it; an installation that moves no town has none.
--
--   psql -d preau -v mover=… -f mover.sql
--
-- with a password for it (openssl rand -hex 24). It may be run again, after a migration too.

\set ON_ERROR_STOP on
\set QUIET on

SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'preau_mover') AS is_missing \gset
\if :is_missing
  \if :{?mover} \else
    DO $$ BEGIN RAISE 'A password is missing: -v mover=…; nothing was made.'; END $$;
  \endif
  CREATE ROLE preau_mover LOGIN PASSWORD :'mover' NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS;
\endif

BEGIN;
-- A town is loaded as a replica loads: its sums came with it, and triggers would add them again.
GRANT SET ON PARAMETER session_replication_role TO preau_mover;
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO preau_mover', current_database()) \gexec
GRANT USAGE ON SCHEMA public TO preau_mover;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO preau_mover;
GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO preau_mover;
ALTER DEFAULT PRIVILEGES FOR ROLE preau_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO preau_mover;
ALTER DEFAULT PRIVILEGES FOR ROLE preau_owner IN SCHEMA public
  GRANT SELECT, UPDATE ON SEQUENCES TO preau_mover;
COMMIT;
\echo preau_mover may move towns in this database.
