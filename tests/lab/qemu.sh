#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the tests that need the kernel, and the daemon on VLAN, bond and bridge uplinks, on other
# kernels: Debian's own, in a virtual machine without KVM. Nothing is installed; the kernels are
# unpacked in the lab's cache, for which network access is needed the first time.
#
#	qemu.sh [--programs DIRECTORY] [KERNEL]...	5.10, 6.1, 6.12; without arguments the first two
#	qemu.sh --only NAME ...				one of the suite, as "link-kernel" or "uplinks"
#
# Exit code 75 (EX_TEMPFAIL): it cannot be done here, e.g. without qemu or network.
set -euo pipefail
cd "$(dirname "$0")/../.."

cache=${IPV6NAT_LAB:-/var/cache/ipv6nat-lab}/kernels
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
programs=build
only=
# Per kernel; one needs little more than a minute on an idle machine.
patience_s=${QEMU_PATIENCE:-400}

declare -A suite=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)
# What the suite is made of, but for "uplinks".
tests='test-fw-kernel test-link-kernel test-conntrack-kernel test-ndp-kernel test-nft-text'
tools='ip bridge nft conntrack ip6tables-nft-restore ip6tables-legacy ip6tables-legacy-restore dash'
# Below kernel/ of a kernel's modules; the kernel itself asks for most of them when they are needed.
modules='net/802 net/8021q net/bridge net/llc net/netfilter net/ipv4/netfilter net/ipv6/netfilter
	net/packet net/sctp net/tls lib crypto drivers/net/veth.ko drivers/net/bonding'

unavailable() {
	printf 'qemu.sh: %s\n' "$*" >&2
	exit 75
}

# apt with lists and archives of its own, so that the system's package lists stay as they are
lab_apt() {
	local program=$1 dir=$2
	shift 2
	"$program" -qq -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

# Debian's small kernel of that version: the image, and those of its modules that matter here.
fetch() {
	local version=$1 dir=$cache/$1 from=$2 work package part tree
	work=$(mktemp -d "$cache/.$version.XXXXXX")
	# shellcheck disable=SC2064 # the directory of now
	trap "rm -rf '$work'" EXIT
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/kernel/modules"
	printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$from" "${suite[$version]}" >"$work/sources.list"
	lab_apt apt-get "$work" update >&2 || unavailable "cannot read the package lists of ${suite[$version]}"
	package=$(lab_apt apt-cache "$work" depends linux-image-cloud-amd64 |
		awk '$1 == "Depends:" && !n++ { print $2 }')
	case $package in
	"linux-image-$version."*) ;;
	*) unavailable "${suite[$version]} no longer has Linux $version" ;;
	esac
	(cd "$work/debs" && lab_apt apt-get "$work" download "$package" >&2) || unavailable "cannot download $package"
	dpkg-deb -x "$work"/debs/*.deb "$work/tree"
	tree=$(find "$work"/tree/{,usr/}lib/modules -mindepth 1 -maxdepth 1 2>/dev/null || true)
	mv "$work"/tree/boot/vmlinuz-* "$work/kernel/vmlinuz"
	mkdir -p "$work/kernel/modules/${tree##*/}/kernel"
	cp "$tree"/modules.{builtin,order} "$work/kernel/modules/${tree##*/}"
	for part in $modules; do
		(cd "$tree" && find kernel -path "kernel/$part*" -name '*.ko*' \
			-exec cp --parents -t "$work/kernel/modules/${tree##*/}" {} +)
	done
	find "$work/kernel" -name '*.ko.xz' -exec busybox unxz {} +
	rm -rf "$dir"
	mv "$work/kernel" "$dir"
	rm -rf "$work"
	trap - EXIT
}

# Copies a program, and the libraries that it needs, to the same place below a directory.
add_program() {
	local root=$1 program=$2 name=$3
	install -D "$program" "$root/$name"
	{ ldd "$program" 2>/dev/null || true; } |
		awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) { print $i; break } }' |
		while read -r library; do
			[ -e "$root$library" ] || install -D "$(readlink -f "$library")" "$root$library"
		done
}

# What the guest consists of, except for its kernel: busybox for everything that has no say here.
make_root() {
	local root=$1 applet program found
	mkdir -p "$root"/{bin,dev,proc,sys,run,tmp,etc,root,usr/bin,usr/sbin,suite/build,lib/modules}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in $(busybox --list); do
		case $applet in
		busybox | sh | ip) ;;
		*) ln -s busybox "$root/bin/$applet" ;;
		esac
	done
	mkdir -p "$root/sbin"
	ln -s ../bin/busybox "$root/sbin/modprobe"
	for program in $tools; do
		# Some tests are skipped without ip6tables.
		found=$(command -v "$program") || { [[ $program = ip6tables-* ]] && continue; } ||
			unavailable "$program is not installed"
		add_program "$root" "$(readlink -f "$found")" "usr/sbin/$program"
	done
	for applet in sh dash; do
		ln -s ../usr/sbin/dash "$root/bin/$applet"
	done
	found=$(echo /usr/lib/*/xtables)
	[ ! -d "$found" ] || { mkdir -p "$root$found" && cp "$found"/lib{xt,ip6t}_* "$root$found"; }
	for program in $tests; do
		# What is being written may not be there yet.
		[ ! -x "$programs/$program" ] ||
			add_program "$root" "$programs/$program" "suite/build/$program"
	done
	add_program "$root" "$programs/ipv6natd" suite/build/ipv6natd
	add_program "$root" "$programs/ipv6natctl" suite/build/ipv6natctl
	add_program "$root" "$programs/lab-fake-engine" suite/build/fake-engine
	mkdir -p "$root/suite/tests/data/engines"
	cp -r tests/data/engines/20.10.24 "$root/suite/tests/data/engines"
	cp tests/lab/guest/{init,uplinks.sh} "$root/suite"
	ln -s suite/init "$root/init"
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\n' >"$root/etc/group"
	printf '%s\n' "$only" >"$root/suite/only"
}

# The results are the lines that begin with a mark; the rest is for those who look for a cause.
run_kernel() {
	local version=$1 root=$2 log=$programs/qemu-$1.log r=0
	rm -rf "$root/lib/modules"
	cp -r "$cache/$version/modules" "$root/lib/modules"
	busybox depmod -b "$root" "$(ls "$cache/$version/modules")"
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$root.cpio.gz"
	# cmpxchg16b corrupts the flags in QEMU 7.2 without KVM: alignment checks in the slab allocator.
	timeout --foreground "$patience_s" qemu-system-x86_64 -M pc -accel tcg -cpu max,cx16=off -m 1024 -smp 1 -nographic \
		-no-reboot -nic none -kernel "$cache/$version/vmlinuz" -initrd "$root.cpio.gz" \
		-append "console=ttyS0 quiet panic=-1 nokaslr random.trust_cpu=on" </dev/null 2>&1 |
		sed -u 's/\r$//' | tee "$log" | sed -un "s/^.*##guest## /Linux $version: /p" || r=$?
	if ! grep -q '^.*##guest## end' "$log"; then
		echo "Linux $version: the suite did not end (exit code $r); see $log"
		return 1
	fi
	! grep -q '^.*##guest## FAIL' "$log" || { echo "see $log"; return 1; }
}

while [[ ${1:-} = --* ]]; do
	case $1 in
	--programs) programs=$2 ;;
	--only) only=$2 ;;
	*) printf 'qemu.sh: unknown option %s\n' "$1" >&2; exit 2 ;;
	esac
	shift 2
done
[ $# -gt 0 ] || set -- 5.10 6.1
command -v qemu-system-x86_64 >/dev/null ||
	unavailable "qemu-system-x86_64 is not installed (apt-get install --no-install-recommends qemu-system-x86)"

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
mirror=
for version in "$@"; do
	[ -n "${suite[$version]:-}" ] || { printf 'qemu.sh: no recipe for Linux %s\n' "$version" >&2; exit 2; }
	[ ! -e "$cache/$version/vmlinuz" ] || continue
	[ -n "$mirror" ] || mirror=$(tests/lab/engines.sh --mirror)
	fetch "$version" "$mirror"
done
flock -u 9

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
make_root "$scratch/root"
failed=0
for version in "$@"; do
	run_kernel "$version" "$scratch/root" || failed=1
done
exit $failed
