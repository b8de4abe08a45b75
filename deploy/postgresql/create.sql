-- The roles and the database of Préau, as the superuser of PostgreSQL 15 or newer:
--
--   psql -v owner=… -v app=… -v relay=… -v maintenance=… -f create.sql
--
-- with a password for each (openssl rand -hex 24). Beside an installation that is there already, to
-- restore a backup under another name, the roles stay as they are and no password is told:
--
--   psql -v database=preau_restored -f create.sql
--
-- It looks first whether all can be made, and then makes all of it, or nothing.

\set ON_ERROR_STOP on
\set QUIET on
\if :{?database} \else \set database preau \endif
\if :{?owner} \else \set owner '' \endif
\if :{?app} \else \set app '' \endif
\if :{?relay} \else \set relay '' \endif
\if :{?maintenance} \else \set maintenance '' \endif

SELECT current_setting('server_version_num')::int < 150000 AS is_too_old,
       current_setting('server_version_num')::int >= 170000 AS has_builtin_locale,
       NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_not_superuser,
       roles = 0 AS makes_roles,
       roles NOT IN (0, 4) AS has_some_roles,
       roles = 0 AND '' IN (:'owner', :'app', :'relay', :'maintenance') AS lacks_passwords,
       :'database' !~ '^[a-z_][a-z0-9_]{0,62}$' AS is_misnamed,
       EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS is_taken
FROM (SELECT count(*) AS roles FROM pg_roles WHERE rolname IN
      ('preau_owner', 'preau_app', 'preau_relay', 'preau_maintenance')) AS found \gset

\if :is_too_old
  DO $$ BEGIN RAISE 'Préau needs PostgreSQL 15 or newer; nothing was made.'; END $$;
\endif
\if :is_not_superuser
  DO $$ BEGIN RAISE 'Only a superuser can make these roles (sudo -u postgres psql …); nothing was made.'; END $$;
\endif
\if :has_some_roles
  DO $$ BEGIN RAISE 'Some of the four roles preau_… exist and some do not: drop them, or make the rest. Nothing was made.'; END $$;
\endif
\if :lacks_passwords
  DO $$ BEGIN RAISE 'A password is missing: -v owner=… -v app=… -v relay=… -v maintenance=…; nothing was made.'; END $$;
\endif
\if :is_misnamed
  DO $$ BEGIN RAISE 'A database is called by small letters, digits and _; nothing was made.'; END $$;
\endif
\if :is_taken
  DO $$ BEGIN RAISE 'The database exists already: name another one by -v database=…; nothing was made.'; END $$;
\endif

-- From here on nothing should fail; what fails all the same is undone.
\set ON_ERROR_STOP off

-- Four roles: a fault in the application can neither change the schema nor see another town's rows,
-- and a backup can change nothing.
\if :makes_roles
BEGIN;
CREATE ROLE preau_owner LOGIN PASSWORD :'owner' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE ROLE preau_app LOGIN PASSWORD :'app' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE ROLE preau_relay LOGIN PASSWORD :'relay' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE ROLE preau_maintenance LOGIN PASSWORD :'maintenance'
  NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS IN ROLE pg_read_all_data;
COMMIT;
\endif

-- Text is compared by code points, everywhere alike: names are sorted by a column of their own.
\if :has_builtin_locale
CREATE DATABASE :"database" OWNER preau_owner TEMPLATE template0 ENCODING 'UTF8'
  LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'
  LOCALE 'C';
\else
CREATE DATABASE :"database" OWNER preau_owner TEMPLATE template0 ENCODING 'UTF8'
  LOCALE_PROVIDER libc LOCALE 'C.UTF-8';
\endif
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO preau_app;
GRANT CONNECT ON DATABASE :"database" TO preau_relay, preau_maintenance;

\set first_database :DBNAME
\set is_complete false
SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS is_there \gset
\if :is_there
\connect :"database"
BEGIN;
ALTER SCHEMA public OWNER TO preau_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO preau_app, preau_relay;
COMMIT;
SELECT pg_get_userbyid(nspowner) = 'preau_owner'
   AND has_schema_privilege('preau_app', 'public', 'USAGE')
   AND has_database_privilege('preau_maintenance', current_database(), 'CONNECT') AS is_complete
FROM pg_namespace WHERE nspname = 'public' \gset
\connect :"first_database"
\endif
\if :is_complete
  \echo The database :database is ready.
\else
  DROP DATABASE IF EXISTS :"database";
  \if :makes_roles
    DROP ROLE IF EXISTS preau_owner, preau_app, preau_relay, preau_maintenance;
  \endif
  \set ON_ERROR_STOP on
  DO $$ BEGIN RAISE 'It failed, for the reason above; nothing was kept.'; END $$;
\endif
