-- Run by Postgres's container at its first start: who may log in, and as what. The rights of the roles come with
-- `annotator db roles`. Passwords come from the environment and stand in no command line.
\getenv worker_password WORKER_PASSWORD
\getenv producer_password PRODUCER_PASSWORD
\set web_password ''
\getenv web_password WEB_PASSWORD
CREATE ROLE annotator_migrator NOLOGIN;
CREATE ROLE annotator_worker NOLOGIN;
CREATE ROLE annotator_producer NOLOGIN;
CREATE ROLE worker LOGIN PASSWORD :'worker_password' IN ROLE annotator_worker;
CREATE ROLE producer LOGIN PASSWORD :'producer_password' IN ROLE annotator_producer;
-- A .env of before the web application has no password for it: see "One machine" in docs/operations.md.
SELECT :'web_password' <> '' AS has_web_password \gset
\if :has_web_password
CREATE ROLE web LOGIN PASSWORD :'web_password' IN ROLE annotator_migrator;
\endif
