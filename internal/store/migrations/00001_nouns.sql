-- Times are microseconds since 1970 UTC, 0 = did not happen. Durations are
-- nanoseconds. Lists go newest first by (created_at, id), so every index that
-- serves a list ends with these two.

-- +goose Up
CREATE TABLE workspaces (
  id         TEXT   PRIMARY KEY,
  name       TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- trunk and inbound are JSON and hold the trunk's passwords in the clear:
-- answering and checking digest (RFC 7616) needs them, or an equivalent of them.
CREATE TABLE channels (
  id         TEXT   PRIMARY KEY,
  workspace  TEXT   NOT NULL REFERENCES workspaces (id),
  name       TEXT   NOT NULL,
  number     TEXT   NOT NULL,
  number_key TEXT   NOT NULL, -- number without its leading +
  trunk      TEXT   NOT NULL,
  inbound    TEXT   NOT NULL,
  codecs     TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
-- An INVITE names a number and nothing else, so a number has one owner.
CREATE UNIQUE INDEX channels_number ON channels (number_key) WHERE number_key <> '';
CREATE INDEX channels_workspace ON channels (workspace, created_at, id);

CREATE TABLE access_keys (
  id         TEXT   PRIMARY KEY,
  workspace  TEXT   NOT NULL REFERENCES workspaces (id),
  name       TEXT   NOT NULL,
  hash       TEXT   NOT NULL, -- SHA-256 of the secret, hexadecimal
  policies   TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  revoked_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX access_keys_hash ON access_keys (hash);
CREATE INDEX access_keys_workspace ON access_keys (workspace, created_at, id);

-- +goose Down
DROP TABLE access_keys;
DROP TABLE channels;
DROP TABLE workspaces;
