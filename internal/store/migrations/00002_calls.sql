-- +goose Up
CREATE TABLE calls (
  id               TEXT    PRIMARY KEY,
  workspace        TEXT    NOT NULL,
  channel          TEXT    NOT NULL,
  parent           TEXT    NOT NULL,
  from_party       TEXT    NOT NULL,
  from_key         TEXT    NOT NULL, -- from_party without its leading +
  to_party         TEXT    NOT NULL,
  to_key           TEXT    NOT NULL,
  direction        TEXT    NOT NULL,
  type             TEXT    NOT NULL,
  status           TEXT    NOT NULL,
  reason           TEXT    NOT NULL,
  hangup_cause     BIGINT  NOT NULL,
  hangup_source    TEXT    NOT NULL,
  hangup_sip_code  BIGINT  NOT NULL,
  user_agent       TEXT    NOT NULL,
  ring_timeout     BIGINT  NOT NULL,
  max_duration     BIGINT  NOT NULL,
  notification_url TEXT    NOT NULL,
  tags             TEXT    NOT NULL,
  flow             TEXT    NOT NULL,
  commands         TEXT    NOT NULL,
  created_at       BIGINT  NOT NULL,
  updated_at       BIGINT  NOT NULL,
  ringing_at       BIGINT  NOT NULL,
  answered_at      BIGINT  NOT NULL,
  ended_at         BIGINT  NOT NULL,
  scheduled_for    BIGINT  NOT NULL
);
CREATE INDEX calls_workspace ON calls (workspace, created_at, id);
CREATE INDEX calls_channel ON calls (workspace, channel, created_at, id);
CREATE INDEX calls_status ON calls (workspace, status, created_at, id);
CREATE INDEX calls_channel_status ON calls (workspace, channel, status, created_at, id);
CREATE INDEX calls_from ON calls (workspace, from_key, created_at, id);
CREATE INDEX calls_to ON calls (workspace, to_key, created_at, id);
CREATE INDEX calls_unfinished ON calls (created_at)
  WHERE status IN ('scheduled', 'accepted', 'starting', 'ringing', 'ongoing');

CREATE TABLE call_tags (
  tag  TEXT NOT NULL,
  call TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
  PRIMARY KEY (tag, call)
);

CREATE TABLE recordings (
  id         TEXT    PRIMARY KEY,
  workspace  TEXT    NOT NULL,
  channel    TEXT    NOT NULL,
  call       TEXT    NOT NULL,
  status     TEXT    NOT NULL,
  origin     TEXT    NOT NULL,
  stereo     BOOLEAN NOT NULL,
  max_length BIGINT  NOT NULL,
  end_cause  TEXT    NOT NULL,
  problem    TEXT    NOT NULL,
  direction  TEXT    NOT NULL,
  from_party TEXT    NOT NULL,
  from_key   TEXT    NOT NULL,
  to_party   TEXT    NOT NULL,
  to_key     TEXT    NOT NULL,
  duration   BIGINT  NOT NULL,
  channels   TEXT    NOT NULL,
  file       TEXT    NOT NULL,
  receipt    TEXT    NOT NULL,
  size       BIGINT  NOT NULL,
  sha256     TEXT    NOT NULL,
  created_at BIGINT  NOT NULL,
  updated_at BIGINT  NOT NULL,
  started_at BIGINT  NOT NULL,
  ended_at   BIGINT  NOT NULL
);
CREATE INDEX recordings_workspace ON recordings (workspace, created_at, id);
CREATE INDEX recordings_channel ON recordings (workspace, channel, created_at, id);
CREATE INDEX recordings_call ON recordings (workspace, call, created_at, id);
CREATE INDEX recordings_workspace_status ON recordings (workspace, status, created_at, id);
CREATE INDEX recordings_from ON recordings (workspace, from_key, created_at, id);
CREATE INDEX recordings_to ON recordings (workspace, to_key, created_at, id);
-- For what is to be finished after a restart, and for the count by status.
CREATE INDEX recordings_status ON recordings (status, created_at);

-- +goose Down
DROP TABLE recordings;
DROP TABLE call_tags;
DROP TABLE calls;
