//! What Dovecot and Postfix read (`docs/mail-server.md`): columns that are computed where they are read, and views.
//! Nobody writes them, `INSERT` without a list of columns passes over them, and they take no room.
//!
//! A login needs the plain password, so what CRAM-MD5, APOP and SCRAM would take is never there. An address is looked
//! for by an index, also through the views: the condition reaches the table. The id of a script is its text, so
//! that Pigeonhole compiles it anew whoever has changed it.

/// On top of the tables of every version from 7 on.
macro_rules! mail_server {
    () => {
        "
ALTER TABLE account ADD COLUMN shared_secret TEXT GENERATED ALWAYS AS (NULL) VIRTUAL;
ALTER TABLE account ADD COLUMN scram TEXT GENERATED ALWAYS AS (NULL) VIRTUAL;
ALTER TABLE account ADD COLUMN quota_bytes INTEGER GENERATED ALWAYS AS (coalesce(capacity, 0) * 1073741824) VIRTUAL;
ALTER TABLE account ADD COLUMN imap_enabled INTEGER GENERATED ALWAYS AS (coalesce(login_imap, 1)) VIRTUAL;
ALTER TABLE account ADD COLUMN pop3_enabled INTEGER GENERATED ALWAYS AS (coalesce(login_pop3, 1)) VIRTUAL;
ALTER TABLE account ADD COLUMN smtp_enabled INTEGER GENERATED ALWAYS AS (coalesce(login_smtp, 1)) VIRTUAL;
ALTER TABLE account ADD COLUMN recv_enabled INTEGER GENERATED ALWAYS AS (coalesce(receive_enabled, 1)) VIRTUAL;
ALTER TABLE account ADD COLUMN enabled INTEGER
  GENERATED ALWAYS AS (yubin_disabled IS NULL AND password IS NOT NULL) VIRTUAL;
CREATE INDEX account_by_address ON account (address) WHERE address IS NOT NULL;
CREATE INDEX account_by_domain ON account (substr(address, instr(address, '@') + 1))
  WHERE address IS NOT NULL AND password IS NOT NULL;
CREATE VIEW domain AS
  SELECT DISTINCT substr(address, instr(address, '@') + 1) AS name FROM account
  WHERE address IS NOT NULL AND password IS NOT NULL;
CREATE VIEW forward AS
  SELECT DISTINCT address, CASE lower(value) WHEN address THEN address ELSE value END AS target
  FROM account, json_each(CASE
    WHEN NOT json_valid(forward_to) THEN '[]'
    WHEN forward_keep_copy AND json_array_length(forward_to) > 0 THEN json_insert(forward_to, '$[#]', address)
    ELSE forward_to END)
  WHERE enabled AND recv_enabled AND forward_enabled AND address IS NOT NULL;
CREATE VIEW autoreply AS
  SELECT address, coalesce(auto_reply_subject, '') AS subject, auto_reply_body AS body FROM account
  WHERE enabled AND auto_reply_enabled AND auto_reply_body IS NOT NULL AND address IS NOT NULL;
CREATE VIEW sieve_script AS
  SELECT address AS username, 'active' AS script_name, hex(subject || char(10) || body) AS id,
    'require \"vacation\";' || char(10) || 'vacation :days 1'
      || CASE subject WHEN '' THEN '' ELSE
           ' :subject \"' || replace(replace(subject, '\\', '\\\\'), '\"', '\\\"') || '\"' END
      || ' \"' || replace(replace(body, '\\', '\\\\'), '\"', '\\\"') || '\";' || char(10) AS script_data
  FROM autoreply;
"
    };
}

pub(super) use mail_server;
