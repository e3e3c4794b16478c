-- +goose Up
CREATE TABLE jobs (
  id           TEXT   PRIMARY KEY,
  kind         TEXT   NOT NULL,
  ref          TEXT   NOT NULL,
  run_at       BIGINT NOT NULL,
  attempts     BIGINT NOT NULL,
  revision     BIGINT NOT NULL, -- goes up whenever the same job is asked for again
  owner        TEXT   NOT NULL, -- who has claimed it; empty = nobody
  leased_until BIGINT NOT NULL,
  last_error   TEXT   NOT NULL,
  created_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX jobs_work ON jobs (kind, ref);
CREATE INDEX jobs_due ON jobs (run_at, id);
CREATE INDEX jobs_owner ON jobs (owner);

CREATE TABLE idempotency (
  workspace    TEXT   NOT NULL,
  idem_key     TEXT   NOT NULL,
  request_hash TEXT   NOT NULL, -- hexadecimal
  holder       TEXT   NOT NULL, -- who answers the request; empty = it is answered
  status       BIGINT NOT NULL,
  content_type TEXT   NOT NULL,
  body         TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (workspace, idem_key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

-- +goose Down
DROP TABLE idempotency;
DROP TABLE jobs;
