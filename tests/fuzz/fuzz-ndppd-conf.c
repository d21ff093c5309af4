/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: an ndppd.conf. Whatever is accepted becomes a configuration that is accepted, too. */
#include "base/own.h"
#include "wire/conf-ini.h"
#include "wire/ndppd-conf.h"

#include <assert.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_static(const struct ndppd_conf *c)
{
	size_t n = 0;

	vec_foreach (p, &c->proxies) {
		assert(p->interface[0] != '\0' && strlen(p->interface) < IFNAMSIZ);
		vec_foreach (r, &p->rules) {
			assert((r->method == NDPPD_METHOD_IFACE) == (r->interface[0] != '\0'));
			n += r->method <= NDPPD_METHOD_STATIC;
		}
	}
	return n;
}

static void check_ini(char *ini, const struct ndppd_conf *c)
{
	_cleanup_(freep) char *error = NULL;
	size_t n_rules = 0, n_static = count_static(c);
	struct config config;
	FILE *f = fmemopen(ini, strlen(ini), "r");

	assert(f);
	assert(config_init(&config) == 0);
	assert(conf_ini_parse(f, "ini", &config, &error) == 0);
	assert(config.warnings.n == 0);
	vec_foreach (p, &config.proxies)
		n_rules += p->prefixes.n;
	/* duplicates count once */
	assert((n_rules > 0) == (n_static > 0) && n_rules <= n_static);
	config_done(&config);
	fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *error = NULL, *ini = NULL;
	struct ndppd_conf c;
	int r = ndppd_conf_parse((const char *)data, size, "f", &c, &error);

	assert(r == 0 || r == -EINVAL || r == -ENOMEM);
	assert((r == -EINVAL) == (error != NULL));
	if (r < 0)
		return 0;
	if (ndppd_conf_to_ini(&c, &ini) == 0)
		check_ini(ini, &c);
	ndppd_conf_done(&c);
	return 0;
}
