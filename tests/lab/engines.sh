#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Unpacks Docker Engines from Debian's archive beside the system: nothing is installed, nothing is
# started. ndppd, which some tests compare with, Docker Compose, Prometheus, sshd and zsh come the
# same way.
#
#	engines.sh [VERSION]...		20.10, 26.1, 28.5, ndppd, compose, prometheus, sshd, zsh; without
#					arguments all engines
#	engines.sh --mirror		print the archive and exit
#
# Prints one directory per version, which belongs first in PATH: dockerd needs the docker-proxy of
# its own version. What else the packages of sshd and zsh have is in "tree" there. The directory of 20.10 also holds the docker command, containerd and runc that
# serve all versions, so it is always there.
#
# Exit code 75 (EX_TEMPFAIL): an engine cannot be had here, e.g. without network.
set -euo pipefail

cache=${IPV6NAT_LAB:-/var/cache/ipv6nat-lab}/engines
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

declare -A suite=([20.10]=bookworm [26.1]=trixie [28.5]=forky [ndppd]=bookworm [compose]=trixie
	[prometheus]=bookworm [sshd]=bookworm [zsh]=bookworm)
declare -A packages=([20.10]="docker.io containerd runc" [26.1]=docker.io [28.5]=docker.io [ndppd]=ndppd
	[compose]=docker-compose [prometheus]=prometheus
	[sshd]="openssh-server libwrap0 libnsl2 libtirpc3" [zsh]="zsh zsh-common")

unavailable() {
	printf 'engines.sh: %s\n' "$*" >&2
	exit 75
}

# The archive this machine is set up for: of the sources the one whose label says Debian, else
# (no lists downloaded yet) the first source that names a Debian release.
# shellcheck disable=SC2016 # these are apt's variables
mirror() {
	local found
	found=$(apt-get indextargets --format '$(LABEL)|$(ORIGIN)|$(REPO_URI)' 'Created-By: Packages' |
		awk -F'|' '$1 == "Debian" && $2 == "Debian" && !n++ { print $3 }')
	[ -n "$found" ] || found=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' |
		awk '$2 ~ /^(bookworm|trixie|forky|sid|stable|testing|unstable)$/ && !n++ { print $1 }')
	printf '%s' "$found"
}

# apt with lists and archives of its own, so that the system's package lists stay as they are
lab_apt() {
	local dir=$1
	shift
	apt-get -qq -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

program() {
	case $1 in
	[0-9]*) printf dockerd ;;
	compose) printf docker-compose ;;
	*) printf '%s' "$1" ;;
	esac
}

# of an unpacked package
libraries() {
	find "$1" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:
}

fetch() {
	local version=$1 dir=$cache/$1 work from file
	local -a wanted
	read -ra wanted <<<"${packages[$version]}"
	from=$(mirror)
	[ -n "$from" ] || unavailable "no Debian archive in this machine's apt configuration"

	work=$(mktemp -d "$cache/.$version.XXXXXX")
	# shellcheck disable=SC2064 # the directory of now
	trap "rm -rf '$work'" EXIT
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/tree" "$work/bin"
	printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$from" "${suite[$version]}" >"$work/sources.list"
	lab_apt "$work" update >&2 || { sleep 3; lab_apt "$work" update >&2; } ||
		unavailable "cannot read the package lists of ${suite[$version]}"
	(cd "$work/debs" && { lab_apt "$work" download "${wanted[@]}" >&2 ||
		{ sleep 3; lab_apt "$work" download "${wanted[@]}" >&2; }; }) ||
		unavailable "cannot download ${wanted[*]} of ${suite[$version]}"

	for file in "$work"/debs/*.deb; do
		dpkg-deb -x "$file" "$work/tree"
	done
	shopt -s nullglob
	find "$work"/tree/{,usr/}*bin "$work"/tree/usr/libexec/docker/cli-plugin* -type f -perm -100 \
		-exec mv -t "$work/bin" {} +
	# sshd knows no --version, which it answers with its version
	case $(LD_LIBRARY_PATH=$(libraries "$work/tree") "$work/bin/$(program "$version")" --version 2>&1) in
	*"version $version."* | *"NDP Proxy Daemon"* | *"Docker Compose version"* | *"prometheus, version"*) ;;
	*OpenSSH_* | "zsh "*) ;;
	*"shared libraries"*) unavailable "a library is missing for ${packages[$version]}" ;;
	*) unavailable "${suite[$version]} no longer has ${packages[$version]} $version" ;;
	esac
	case $version in
	sshd | zsh) mv "$work/tree" "$work/bin/tree" ;;
	esac
	rm -rf "$dir"
	mv "$work/bin" "$dir"
	rm -rf "$work"
	trap - EXIT
}

# For those who make other systems from the same archive.
if [ "${1:-}" = --mirror ]; then
	from=$(mirror)
	[ -n "$from" ] || unavailable "no Debian archive in this machine's apt configuration"
	printf '%s\n' "$from"
	exit
fi

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
[ $# -gt 0 ] || set -- 20.10 26.1 28.5
for version in 20.10 "$@"; do
	[ -n "${suite[$version]:-}" ] || { printf 'engines.sh: no recipe for engine %s\n' "$version" >&2; exit 2; }
	[ -x "$cache/$version/$(program "$version")" ] || fetch "$version"
done
printf '%s\n' "${@/#/$cache/}"
