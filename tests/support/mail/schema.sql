-- What both servers read by SQL: tables or views of these names.
CREATE TABLE account (
  address       TEXT PRIMARY KEY,            -- lower case
  password      TEXT NOT NULL,               -- {SCHEME}hash, for PLAIN, LOGIN and USER/PASS
  shared_secret TEXT,                        -- {PLAIN}clear for APOP and CRAM-MD5, or {CRAM-MD5}context for that alone
  scram         TEXT,                        -- {SCRAM-SHA-256}iterations,salt,stored key,server key
  quota_bytes   INTEGER NOT NULL DEFAULT 0,  -- 0: no limit
  imap_enabled  INTEGER NOT NULL DEFAULT 1,
  pop3_enabled  INTEGER NOT NULL DEFAULT 1,
  smtp_enabled  INTEGER NOT NULL DEFAULT 1,  -- may log in for sending
  recv_enabled  INTEGER NOT NULL DEFAULT 1,  -- mail to it is taken
  enabled       INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;
-- A forward to the address itself keeps a copy.
CREATE TABLE forward (address TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (address, target)) WITHOUT ROWID;
CREATE TABLE autoreply (address TEXT PRIMARY KEY, subject TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
-- Pigeonhole compiles a script once for each id, so the id changes with the text.
CREATE VIEW sieve_script AS
  SELECT address AS username, 'active' AS script_name, hex(subject || char(10) || body) AS id,
         'require "vacation";' || char(10) || 'vacation :days 1 :subject "'
         || replace(replace(subject, '\', '\\'), '"', '\"') || '" "'
         || replace(replace(body, '\', '\\'), '"', '\"') || '";' || char(10) AS script_data
  FROM autoreply;
