#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the programs without warnings and runs the unit tests in a Debian 13 root file system, made
# once and kept in the lab's cache. Network access is needed the first time.
# Exit code 75 (EX_TEMPFAIL): Debian 13 cannot be had here.
set -euo pipefail
cd "$(dirname "$0")/../.."

root=${IPV6NAT_LAB:-/var/cache/ipv6nat-lab}/debian13
packages=gcc,make,pkg-config,libc6-dev,libsystemd-dev,libcurl4-openssl-dev,libmnl-dev,libnftnl-dev
packages+=,libjansson-dev,libmicrohttpd-dev,libinih-dev,libsmartcols-dev,libcmocka-dev,iproute2,nftables

# The archive that this machine's apt is set up for, as engines.sh finds it.
mirror=$(tests/lab/engines.sh --mirror)
if [ ! -e "$root/.complete" ]; then
	command -v mmdebstrap >/dev/null || {
		echo "debian13.sh: mmdebstrap is not installed" >&2
		exit 75
	}
	rm -rf "$root"
	mkdir -p "$(dirname "$root")"
	mmdebstrap --quiet --variant=minbase --include="$packages" trixie "$root" "$mirror" || {
		echo "debian13.sh: cannot make a Debian 13 root file system" >&2
		exit 75
	}
	touch "$root/.complete"
fi

# In a mount namespace of its own: nothing that is mounted here outlives the script.
git ls-files -z | xargs -0 tar -c | (rm -rf "$root/src" && mkdir "$root/src" && tar -x -C "$root/src")
# shellcheck disable=SC2016 # for the shell in there
exec unshare --mount --net sh -euc '
	mount -t proc proc "$1/proc"
	mount --rbind /sys "$1/sys"
	mount --rbind /dev "$1/dev"
	ip link set lo up
	exec chroot "$1" sh -euc "cd /src && make WERROR=1 all check-unit"
' sh "$root"
