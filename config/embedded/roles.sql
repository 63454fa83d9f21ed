-- The two roles and the database. Run by psql as a superuser, as often as you like:
--   HIPWATCH_OWNER_PASSWORD=... HIPWATCH_APP_PASSWORD=... psql -v ON_ERROR_STOP=1 -f roles.sql postgres
\getenv owner_password HIPWATCH_OWNER_PASSWORD
\getenv app_password HIPWATCH_APP_PASSWORD
\set QUIET on
SELECT 'CREATE ROLE hipwatch_owner' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hipwatch_owner') \gexec
SELECT 'CREATE ROLE hipwatch_app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hipwatch_app') \gexec
ALTER ROLE hipwatch_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
ALTER ROLE hipwatch_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'app_password';
SELECT 'CREATE DATABASE hipwatch OWNER hipwatch_owner'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'hipwatch') \gexec
