/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: an ipv6nat.conf. */
#include "base/own.h"
#include "wire/conf-ini.h"

#include <assert.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct config *c)
{
	assert(c->backend < _CONFIG_BACKEND_MAX && c->on_stop < _CONFIG_ON_STOP_MAX);
	assert(c->resync_s > 0);
	vec_foreach (u, &c->uplinks)
		assert(u->text[0] != '\0' && strlen(u->text) < IFNAMSIZ);
	vec_foreach (n, &c->networks) {
		assert(n->pattern[0] != '\0' && n->mode < _NET_MODE_MAX);
		assert(!n->uplink || strlen(n->uplink) < IFNAMSIZ);
		assert(!(n->has_prefix && n->prefix_of_uplink));
	}
	vec_foreach (p, &c->pools)
		assert(p->name[0] != '\0' && p->range.length <= 128);
	vec_foreach (p, &c->proxies)
		assert(strlen(p->interface) < IFNAMSIZ);
	vec_foreach (w, &c->warnings)
		assert(strncmp(w->text, "f:", 2) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *error = NULL;
	struct config c;
	FILE *f;
	int r;

	f = fmemopen((void *)(uintptr_t)data, size, "r");
	assert(f || size == 0);
	if (!f)
		return 0;
	assert(config_init(&c) == 0);
	r = conf_ini_parse(f, "f", &c, &error);
	assert(r == 0 || r == -EINVAL || r == -ENOMEM);
	assert((r == -EINVAL) == (error != NULL));
	check(&c);
	config_done(&c);
	fclose(f);
	return 0;
}
