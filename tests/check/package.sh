#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package has the program's version, and is built with what the program is built with.
set -euo pipefail

failed=0
complain() {
	echo "$1"
	failed=1
}

version=$(sed -n 's/^VERSION := //p' Makefile)
packaged=$(sed -n '1s/.*(\(.*\)).*/\1/p' contrib/debian/changelog)
[[ -n $version && $packaged == "$version" ]] ||
	complain "contrib/debian/changelog: version $packaged, but $version in the Makefile"

libraries() {
	grep -oE '\blib[a-z0-9.+-]+-dev\b' | grep -v '^libc6-dev$' | sort -u
}
needed=$(contrib/install-deps --list package | libraries)
declared=$(sed -n '/^Build-Depends:/,/^[A-Z]/p' contrib/debian/control | libraries)
[[ -n $needed && $needed == "$declared" ]] ||
	complain "contrib/debian/control: Build-Depends and contrib/install-deps differ:
$(diff <(echo "$declared") <(echo "$needed"))"
exit $failed
