#!/bin/sh
# After the files have gone. What an administrator has put beside the settings goes only with `apt-get purge`.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ "$1" = purge ]; then
  rm -f /etc/recordengine/database-url /etc/recordengine/page-database-url /etc/recordengine/page-password-hash
  rmdir --ignore-fail-on-non-empty /etc/recordengine 2>/dev/null || true
fi
