# Starts the two masters and stops them when its input ends, however the tests have ended.
# $1: the folder of the stack, which goes as well.
# Not ignored: whoever is started here would ignore them, too.
trap : INT TERM HUP
set -eu
exec 2>"$1/log/watch.out"
setsid /usr/sbin/dovecot -F -c "$1/etc/dovecot/dovecot.conf" >"$1/log/dovecot.out" 2>&1 </dev/null &
dovecot=$!
setsid /usr/lib/postfix/sbin/master -c "$1/etc/postfix" -d -s >"$1/log/postfix.out" 2>&1 </dev/null &
postfix=$!
echo started
read -r _ || :
kill -TERM "$postfix" "$dovecot" 2>/dev/null || :
wait "$postfix" "$dovecot" || :
# Both lead a session of their own: whoever is left in it goes now.
kill -KILL "-$postfix" "-$dovecot" 2>/dev/null || :
cd /
rm -rf "$1"
