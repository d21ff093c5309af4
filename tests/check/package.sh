#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package has the program's version, and is built with what the program is built with; what
# "make install" puts anywhere, "make uninstall" takes away, but for the configuration.
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

if [[ ! -x build/ipv6natd || ! -x build/ipv6natctl ]]; then
	((failed == 0)) || exit 1
	echo "build/ipv6natd and build/ipv6natctl are not built"
	exit 75
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
for target in install uninstall; do
	# as they are built: -o all
	said=$(env -u MAKEFLAGS -u MAKELEVEL make -o all "$target" DESTDIR="$root" PREFIX=/usr 2>&1) ||
		complain "make $target: $said"
	[[ $target == uninstall || -x $root/usr/sbin/ipv6natd ]] || complain "make install has installed nothing"
done
while read -r file; do
	complain "make uninstall leaves $file"
done < <(find "$root" ! -type d -printf '/%P\n' | grep -v '^/etc/ipv6nat/')
exit $failed
