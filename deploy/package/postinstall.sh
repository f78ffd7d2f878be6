#!/bin/sh
# After the files are there; "configure" and the old version from dpkg, from rpm the number of versions there are.
# Nothing is started or restarted: a worker needs its database first, and a new one its schema.
set -e
case "$1" in
  configure) old=$2 ;;
  1) old= ;;
  [0-9]*) old=another ;;
  *) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ -z "$old" ]; then
  echo "webhooks: put the database's URL into /etc/recordengine/database-url (mode 0400), then"
  echo "webhooks: systemctl enable --now webhooks"
else
  echo "webhooks: the old version goes on until you run: webhooks migrate --roles, then systemctl restart webhooks"
fi
