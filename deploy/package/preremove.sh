#!/bin/sh
# Before the files go: "remove" from dpkg, 0 from rpm. Not in an upgrade.
set -e
case "$1" in
  remove | 0) ;;
  *) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl disable --now --quiet webhooks.service webhooks-page.service
fi
