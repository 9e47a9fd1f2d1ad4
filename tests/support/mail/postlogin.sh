#!/bin/sh
# POP before SMTP: notes from where somebody has logged in ($IP, $USER), and goes on with the session.
name=$(printf %s "$USER" | tr -d "'")
sqlite3 -cmd '.timeout 2000' '@ROOT@/popauth/popauth.db' \
  "INSERT OR REPLACE INTO popauth VALUES ('$IP', '$name', strftime('%s', 'now'));" || :
exec "$@"
