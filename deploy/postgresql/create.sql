-- The roles and the database of Préau, once, as PostgreSQL's superuser:
--
--   psql -v owner=… -v app=… -v relay=… -v maintenance=… -f create.sql
--
-- with a password for each (openssl rand -hex 24). PostgreSQL 17 or newer; before, put
-- LOCALE 'C.UTF-8' in the place of the two lines on the locale.

-- Four roles: a fault in the application can neither change the schema nor see another town's
-- rows, and a backup can change nothing.
CREATE ROLE preau_owner LOGIN PASSWORD :'owner' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE ROLE preau_app LOGIN PASSWORD :'app' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE ROLE preau_relay LOGIN PASSWORD :'relay' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE ROLE preau_maintenance LOGIN PASSWORD :'maintenance'
  NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS IN ROLE pg_read_all_data;

CREATE DATABASE preau OWNER preau_owner TEMPLATE template0 ENCODING 'UTF8'
  LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'
  LOCALE 'C';
REVOKE ALL ON DATABASE preau FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE preau TO preau_app;
GRANT CONNECT ON DATABASE preau TO preau_relay, preau_maintenance;

\connect preau
ALTER SCHEMA public OWNER TO preau_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO preau_app, preau_relay;
