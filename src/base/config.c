/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/config.h"

#include <syslog.h>

static const char *const backends[] = {
	[CONFIG_BACKEND_AUTO] = "auto",
	[CONFIG_BACKEND_NFTABLES] = "nftables",
	[CONFIG_BACKEND_IP6TABLES] = "ip6tables",
};
DEFINE_STRTAB(config_backend, enum config_backend, _CONFIG_BACKEND_MAX, backends)

static const char *const on_stops[] = {
	[CONFIG_ON_STOP_KEEP] = "keep",
	[CONFIG_ON_STOP_REMOVE] = "remove",
};
DEFINE_STRTAB(config_on_stop, enum config_on_stop, _CONFIG_ON_STOP_MAX, on_stops)

static const char *const unpublished[] = {
	[CONFIG_UNPUBLISHED_DROP] = "drop",
	[CONFIG_UNPUBLISHED_ACCEPT] = "accept",
};
DEFINE_STRTAB(config_unpublished, enum config_unpublished, _CONFIG_UNPUBLISHED_MAX, unpublished)

static const char *const foreign_forwards[] = {
	[CONFIG_FOREIGN_FORWARD_REPORT] = "report",
	[CONFIG_FOREIGN_FORWARD_JUMP] = "jump",
};
DEFINE_STRTAB(config_foreign_forward, enum config_foreign_forward, _CONFIG_FOREIGN_FORWARD_MAX,
	      foreign_forwards)

static const char *const forwardings[] = {
	[CONFIG_FORWARDING_ENSURE] = "ensure",
	[CONFIG_FORWARDING_REPORT] = "report",
};
DEFINE_STRTAB(config_forwarding, enum config_forwarding, _CONFIG_FORWARDING_MAX, forwardings)

static const char *const ndp_overrides[] = {
	[CONFIG_NDP_OVERRIDE_NEVER] = "never",
	[CONFIG_NDP_OVERRIDE_MULTICAST] = "multicast",
	[CONFIG_NDP_OVERRIDE_ALWAYS] = "always",
};
DEFINE_STRTAB(config_ndp_override, enum config_ndp_override, _CONFIG_NDP_OVERRIDE_MAX,
	      ndp_overrides)

static const char *const modes[] = {
	[NET_MODE_AUTO] = "auto",     [NET_MODE_NAT] = "nat", [NET_MODE_PROXY] = "proxy",
	[NET_MODE_ROUTED] = "routed", [NET_MODE_NPT] = "npt", [NET_MODE_INTERNAL] = "internal",
	[NET_MODE_NATIVE] = "native", [NET_MODE_OFF] = "off",
};
DEFINE_STRTAB(net_mode, enum net_mode, _NET_MODE_MAX, modes)

int config_init(struct config *c)
{
	*c = (struct config){
		.log_level = LOG_INFO,
		.resync_s = 300,
		.ndp_answer = true,
		.ndp_announce = true,
	};
	return 0;
}

static void strings_done(struct config_strings *s)
{
	vec_foreach (i, s)
		free(i->text);
	vec_done(s);
}

void config_done(struct config *c)
{
	free(c->docker_host);
	free(c->docker_cert_path);
	free(c->metrics_listen);
	strings_done(&c->uplinks);
	vec_foreach (n, &c->networks) {
		free(n->pattern);
		free(n->uplink);
		strings_done(&n->trusted);
	}
	vec_done(&c->networks);
	vec_foreach (p, &c->proxies) {
		free(p->interface);
		vec_done(&p->prefixes);
	}
	vec_done(&c->proxies);
	vec_foreach (p, &c->pools) {
		free(p->name);
		free(p->uplink);
	}
	vec_done(&c->pools);
	vec_foreach (w, &c->warnings)
		free(w->text);
	vec_done(&c->warnings);
	*c = (struct config){};
}
