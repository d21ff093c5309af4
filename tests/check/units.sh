#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The units' sandbox is as tight as it is said to be, and the daemon's service neither needs nor
# drags along the engine's: it only comes before it.
# Exit code 75: no systemd-analyze here.
set -uo pipefail

daemon=systemd/ipv6natd.service
failed=0
complain() {
	echo "$1"
	failed=1
}

grep -qxF 'Before=docker.service' "$daemon" || complain "$daemon: is not before docker.service"
while read -r line; do
	complain "$daemon: ties it to the engine: $line"
done < <(grep -E '^[A-Z][A-Za-z]*=.*docker' "$daemon" | grep -vE '^(Before|Description)=')
grep -qxF 'CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW' "$daemon" ||
	complain "$daemon: its capabilities are not CAP_NET_ADMIN and CAP_NET_RAW"

if ! command -v systemd-analyze >/dev/null; then
	((failed == 0)) || exit 1
	echo "systemd-analyze is not installed"
	exit 75
fi
for unit in systemd/*.service; do
	# in tenths
	systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" >/dev/null 2>&1 ||
		complain "$unit: $(systemd-analyze security --offline=true --no-pager "$unit" 2>&1 |
			tail -n 1), at most 2.0 is wanted"
done
exit $failed
