#!/usr/bin/env bash
# One member, several members, a member's tags, and Feast's protocol.
set -euo pipefail
url=${HUITOU_URL:-http://127.0.0.1:8566}
member=${1:?usage: curl.sh MEMBER_ID}
ask() { curl --silent --show-error --fail-with-body --max-time 5 \
  ${HUITOU_KEY:+--header "Authorization: Bearer $HUITOU_KEY"} "$@"; echo; }
post() { ask --header "Content-Type: application/json" --data "$2" "$1"; }

# all values of a service; --get with --data-urlencode takes care of odd ids and instants
ask --get "$url/v1/members/$member" --data-urlencode service=chat_sidebar_v1

# the tags that hold at this moment
ask "$url/v1/members/$member/tags"

# up to 1 000 members at once, with whether each may be sent a promotion
post "$url/v1/members:batch" "{\"service\": \"mass_sender_v1\", \"member_ids\": [\"$member\", \"nobody\"]}"

# Feast's own protocol
post "$url/get-online-features" "{
  \"features\": [\"member_orders_v1:last_order_at\", \"member_tags_v1:tags\"],
  \"entities\": {\"member_id\": [\"$member\"]}
}"
