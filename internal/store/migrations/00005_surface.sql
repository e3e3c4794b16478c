-- +goose Up
-- amd is what answering-machine detection found, request what a scheduled call is
-- to do when it is placed; both are JSON, empty = nothing.
ALTER TABLE calls ADD COLUMN amd TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN request TEXT NOT NULL DEFAULT '';
-- transcribe is the locale in which a transcription is made of the file.
ALTER TABLE recordings ADD COLUMN transcribe TEXT NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN transcribed BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE media (
  id           TEXT   PRIMARY KEY,
  workspace    TEXT   NOT NULL REFERENCES workspaces (id),
  name         TEXT   NOT NULL,
  content_type TEXT   NOT NULL,
  size         BIGINT NOT NULL,
  sha256       TEXT   NOT NULL,
  duration     BIGINT NOT NULL,
  file         TEXT   NOT NULL, -- blob key
  created_at   BIGINT NOT NULL
);
CREATE INDEX media_workspace ON media (workspace, created_at, id);

CREATE TABLE transcriptions (
  id         TEXT    PRIMARY KEY,
  workspace  TEXT    NOT NULL,
  recording  TEXT    NOT NULL REFERENCES recordings (id),
  call       TEXT    NOT NULL,
  channel    TEXT    NOT NULL,
  status     TEXT    NOT NULL,
  problem    TEXT    NOT NULL,
  stereo     BOOLEAN NOT NULL,
  locale     TEXT    NOT NULL,
  summary    TEXT    NOT NULL,
  segments   TEXT    NOT NULL, -- JSON
  created_at BIGINT  NOT NULL,
  updated_at BIGINT  NOT NULL
);
CREATE INDEX transcriptions_workspace ON transcriptions (workspace, created_at, id);
CREATE INDEX transcriptions_recording ON transcriptions (recording, created_at, id);
-- For what waits to be made.
CREATE INDEX transcriptions_waiting ON transcriptions (created_at, id) WHERE status IN ('accepted', 'ongoing');

-- What happened, in the order in which it was committed: a row is written in the
-- transaction of the fact that it tells of. There is one writer at a time, so seq
-- grows with the commits, and who reads on from a seq misses nothing.
-- AUTOINCREMENT: a seq is not used again after its row was deleted.
CREATE TABLE events (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT    NOT NULL,
  workspace  TEXT    NOT NULL,
  type       TEXT    NOT NULL,
  channel    TEXT    NOT NULL,
  call       TEXT    NOT NULL,
  status     TEXT    NOT NULL,
  notify_url TEXT    NOT NULL,
  subject    TEXT    NOT NULL, -- JSON
  at         BIGINT  NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_workspace ON events (workspace, seq);
CREATE INDEX events_age ON events (at);

CREATE TABLE subscriptions (
  id          TEXT   PRIMARY KEY,
  workspace   TEXT   NOT NULL REFERENCES workspaces (id),
  service     TEXT   NOT NULL,
  event       TEXT   NOT NULL,
  filters     TEXT   NOT NULL, -- JSON
  template    TEXT   NOT NULL,
  url         TEXT   NOT NULL,
  signing_key TEXT   NOT NULL, -- in the clear: signing needs it
  status      TEXT   NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL
);
CREATE INDEX subscriptions_workspace ON subscriptions (workspace, created_at, id);

-- One event on its way to one receiver.
CREATE TABLE deliveries (
  id           TEXT   PRIMARY KEY,
  workspace    TEXT   NOT NULL,
  subscription TEXT   NOT NULL, -- empty = the notification URL of the call
  event        TEXT   NOT NULL,
  seq          BIGINT NOT NULL, -- of the event
  type         TEXT   NOT NULL,
  call         TEXT   NOT NULL,
  url          TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  attempts     BIGINT NOT NULL,
  next_at      BIGINT NOT NULL,
  code         BIGINT NOT NULL,
  problem      TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL,
  delivered_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX deliveries_event ON deliveries (event, subscription);
CREATE INDEX deliveries_workspace ON deliveries (workspace, created_at, id);
CREATE INDEX deliveries_subscription ON deliveries (workspace, subscription, created_at, id);
CREATE INDEX deliveries_status ON deliveries (workspace, status, created_at, id);
CREATE INDEX deliveries_due ON deliveries (next_at, seq) WHERE status = 'pending';
-- Deliveries of one call to one receiver are made in order.
CREATE INDEX deliveries_order ON deliveries (subscription, call, seq) WHERE status = 'pending';

-- How far events have been made into deliveries.
CREATE TABLE event_readers (
  name TEXT   PRIMARY KEY,
  seq  BIGINT NOT NULL
);

-- The parent's id and the call's are asked for by lists, too.
CREATE INDEX calls_parent ON calls (workspace, parent, created_at, id);

-- +goose Down
DROP INDEX calls_parent;
DROP TABLE event_readers;
DROP TABLE deliveries;
DROP TABLE subscriptions;
DROP TABLE events;
DROP TABLE transcriptions;
DROP TABLE media;
ALTER TABLE recordings DROP COLUMN transcribed;
ALTER TABLE recordings DROP COLUMN transcribe;
ALTER TABLE calls DROP COLUMN request;
ALTER TABLE calls DROP COLUMN amd;
