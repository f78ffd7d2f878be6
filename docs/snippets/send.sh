#!/bin/sh
# Sends an event to your receiver, twice, as a worker would: without a database, without RecordEngine.
#   sh send.sh URL [TOKEN [SECRET]]
# Needs ./webhooks, curl, and openssl for the signature.
set -eu
url=$1 token=${2-} secret=${3-}
id=try-$(date +%s) at=$(date +%s) body=$(mktemp)
trap 'rm -f "$body"' EXIT
echo '{"contact_id": 8, "name": "Example Ltd"}' | ./webhooks render contact.created >"$body"

set -- -H 'Content-Type: application/json' -H "webhook-id: $id"
if [ -n "$token" ]; then
  set -- "$@" -H "Authorization: Bearer $token"
fi
if [ -n "$secret" ]; then
  key=$(printf %s "${secret#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
  mac=$({ printf '%s.%s.' "$id" "$at" && cat "$body"; } | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
  set -- "$@" -H "webhook-timestamp: $at" -H "webhook-signature: v1,$mac"
fi
for attempt in first second; do
  curl -sS -o /dev/null -w "the $attempt time it is answered with %{http_code}\n" "$@" --data-binary @"$body" "$url"
done
