# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fails on an include that points up or sideways:
#
#	base <- {model, wire} <- io <- daemon		{base, wire} <- ctl
#
# and within io, where a module knows itself and the shared plumbing only. A module is a file name
# up to its first hyphen: link.c, link-state.c, link-internal.h; part_of has the others. Libraries stay in their layers too,
# and base, model and wire do not log.

BEGIN {
	allowed["base"] = " base "
	allowed["model"] = " base model "
	allowed["wire"] = " base wire "
	allowed["io"] = " base model wire io "
	allowed["daemon"] = " base model wire io daemon "
	allowed["ctl"] = " base wire ctl "
	plumbing = " curl-glue nlk "
	part_of["conntrack"] = "fw"

	home["jansson.h"] = " wire ctl "
	home["ini.h"] = " wire "
	home["curl/curl.h"] = " io ctl "
	home["microhttpd.h"] = " io "
	home["libsmartcols/libsmartcols.h"] = " ctl "
	home["libmnl/libmnl.h"] = " wire io "
	home["systemd/sd-event.h"] = " io daemon "
	home["systemd/sd-daemon.h"] = " io daemon "
}

function complain(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
	failed = 1
}

function stem(name) {
	sub(/\.[ch]$/, "", name)
	return name
}

function module(name) {
	name = stem(name)
	if (index(plumbing, " " name " "))
		return name
	sub(/-.*/, "", name)
	return name in part_of ? part_of[name] : name
}

FNR == 1 {
	n = split(FILENAME, path, "/")
	layer = path[n - 1]
	self = path[n]
	if (!(layer in allowed))
		complain("layer \"" layer "\" is not known")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	parts = split(quoted[2], target, "/")
	if (parts == 1) # beside this file
		next
	if (parts > 2 || !(target[1] in allowed)) {
		complain("\"" quoted[2] "\" is not LAYER/MODULE.h")
		next
	}
	if (!index(allowed[layer], " " target[1] " "))
		complain(layer " must not include " quoted[2])
	else if (layer == "io" && target[1] == "io" && module(target[2]) != module(self) &&
		 !index(plumbing, " " stem(target[2]) " "))
		complain("io/" module(self) " must not know io/" module(target[2]))
}

/^[ \t]*#[ \t]*include[ \t]*</ {
	split($0, angled, /[<>]/)
	library = angled[2] ~ /^libnftnl\// ? "libmnl/libmnl.h" : angled[2]
	if (library in home && !index(home[library], " " layer " "))
		complain(layer " must not use " angled[2])
}

/(^|[^a-z_])log_(full|error|warning|notice|info|debug|oom)(_errno)?[ \t]*\(/ {
	if (index(" base model wire ", " " layer " ") && self !~ /^log\.[ch]$/)
		complain(layer " does not log")
}

END {
	exit failed
}
