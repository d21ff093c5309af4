/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The configuration (ipv6nat.conf(5)), parsed by wire/conf-ini, read by model and daemon. */
#include "base/facts.h"

#include <net/if.h>

enum config_backend {
	CONFIG_BACKEND_AUTO,
	CONFIG_BACKEND_NFTABLES,
	CONFIG_BACKEND_IP6TABLES,
	_CONFIG_BACKEND_MAX,
};
DECLARE_STRTAB(config_backend, enum config_backend);

enum config_on_stop {
	CONFIG_ON_STOP_KEEP,
	CONFIG_ON_STOP_REMOVE,
	_CONFIG_ON_STOP_MAX,
};
DECLARE_STRTAB(config_on_stop, enum config_on_stop);

enum config_unpublished {
	CONFIG_UNPUBLISHED_DROP,
	CONFIG_UNPUBLISHED_ACCEPT,
	_CONFIG_UNPUBLISHED_MAX,
};
DECLARE_STRTAB(config_unpublished, enum config_unpublished);

enum config_foreign_forward {
	CONFIG_FOREIGN_FORWARD_REPORT,
	CONFIG_FOREIGN_FORWARD_JUMP,
	_CONFIG_FOREIGN_FORWARD_MAX,
};
DECLARE_STRTAB(config_foreign_forward, enum config_foreign_forward);

enum config_forwarding {
	CONFIG_FORWARDING_ENSURE,
	CONFIG_FORWARDING_REPORT,
	_CONFIG_FORWARDING_MAX,
};
DECLARE_STRTAB(config_forwarding, enum config_forwarding);

enum config_ndp_source {
	CONFIG_NDP_SOURCE_TARGET,
	CONFIG_NDP_SOURCE_LINK_LOCAL,
	CONFIG_NDP_SOURCE_ADDRESS, /* ndp_source_address */
};

enum config_ndp_override {
	CONFIG_NDP_OVERRIDE_NEVER,
	CONFIG_NDP_OVERRIDE_MULTICAST,
	CONFIG_NDP_OVERRIDE_ALWAYS,
	_CONFIG_NDP_OVERRIDE_MAX,
};
DECLARE_STRTAB(config_ndp_override, enum config_ndp_override);

/* The mode of a network: DESIGN section 3. Also the value of Mode= and of the label. */
enum net_mode {
	NET_MODE_AUTO, /* only as a wish, never as a decision */
	NET_MODE_NAT,
	NET_MODE_PROXY,
	NET_MODE_ROUTED,
	NET_MODE_NPT,
	NET_MODE_INTERNAL,
	NET_MODE_NATIVE,
	NET_MODE_OFF,
	_NET_MODE_MAX,
};
DECLARE_STRTAB(net_mode, enum net_mode);

enum net_firewall {
	NET_FIREWALL_DEFAULT, /* as [Firewall] Unpublished= says */
	NET_FIREWALL_CLOSED,
	NET_FIREWALL_OPEN,
};

struct config_string {
	char *text;
};

struct config_strings {
	VEC_FIELDS(struct config_string);
};

/* [Network NAME]; NAME may be a glob. Unset: mode AUTO, zero address, length 0, NULL. */
struct config_network {
	char *pattern;
	enum net_mode mode;
	struct in6_addr snat;
	struct inet_prefix prefix;
	bool has_prefix;
	bool prefix_of_uplink; /* Prefix=uplink */
	enum net_firewall firewall;
	char *uplink;
	struct config_strings trusted; /* interface names */
};

/* [Proxy IFACE]: static rule for the responder. */
struct config_proxy {
	char *interface;
	VEC(struct inet_prefix) prefixes;
};

/* [Pool NAME] */
struct config_pool {
	char *name;
	struct inet_prefix range;
	bool has_range;
	char *uplink;
	bool all_ports; /* Ports=all */
};

struct config_warning {
	char *text; /* "FILE:LINE: …" */
};

struct config {
	enum config_backend backend;
	enum config_on_stop on_stop;
	int log_level; /* LOG_x */

	char *docker_host;      /* NULL: not set */
	char *docker_cert_path; /* NULL: not set */
	uint32_t resync_s;

	struct config_strings uplinks; /* empty: auto */

	bool ndp_answer;
	enum config_ndp_source ndp_source;
	struct in6_addr ndp_source_address;
	enum config_ndp_override ndp_override;
	bool ndp_announce;
	uint32_t ndp_rate_per_s; /* 0: default */

	enum config_unpublished unpublished;
	enum config_foreign_forward foreign_forward;
	enum config_forwarding forwarding;

	VEC(struct config_network) networks; /* in file order; the last match of each key wins */
	VEC(struct config_proxy) proxies;
	VEC(struct config_pool) pools;
	char *metrics_listen; /* NULL: off */

	VEC(struct config_warning) warnings; /* keys without effect yet */
};

/* Defaults of DESIGN section 7. 0 or -ENOMEM. */
int config_init(struct config *c);
void config_done(struct config *c);
