-- +goose Up
CREATE TABLE renders (
  id         TEXT    PRIMARY KEY,
  workspace  TEXT    NOT NULL,
  recording  TEXT    NOT NULL REFERENCES recordings (id),
  kind       TEXT    NOT NULL,
  status     TEXT    NOT NULL,
  problem    TEXT    NOT NULL,
  stereo     BOOLEAN NOT NULL,
  swap       BOOLEAN NOT NULL,
  format     TEXT    NOT NULL,
  file       TEXT    NOT NULL,
  receipt    TEXT    NOT NULL,
  size       BIGINT  NOT NULL,
  sha256     TEXT    NOT NULL,
  duration   BIGINT  NOT NULL,
  created_at BIGINT  NOT NULL,
  updated_at BIGINT  NOT NULL
);
CREATE INDEX renders_recording ON renders (recording, kind, created_at, id);
-- For what waits to be made.
CREATE INDEX renders_waiting ON renders (created_at, id) WHERE status = 'accepted';

-- +goose Down
DROP TABLE renders;
