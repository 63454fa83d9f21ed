-- What one database needs before the first migration. Run by psql as a superuser in that database, as often as you like.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS btree_gin;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO hipwatch_owner;
GRANT USAGE ON SCHEMA public TO hipwatch_app;
-- What the owner creates, the application may use; migrations take away more where a table is append-only.
ALTER DEFAULT PRIVILEGES FOR ROLE hipwatch_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO hipwatch_app;
ALTER DEFAULT PRIVILEGES FOR ROLE hipwatch_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO hipwatch_app;
