/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: a status document, an error document, or a line of events. */
#include "base/own.h"
#include "wire/api-json-read.h"

#include <assert.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct api_status *s)
{
	assert(s->version && s->state && s->docker.host && s->backend.name);
	vec_foreach (u, &s->uplinks)
		assert(u->interface);
	vec_foreach (n, &s->networks) {
		assert(n->id && n->name && n->bridge && n->mode && n->reason);
		vec_foreach (t, &n->subnets)
			assert(t->text);
		vec_foreach (c, &n->containers) {
			assert(c->id && c->name);
			vec_foreach (p, &c->ports)
				assert(p->protocol && p->host_address && p->state);
		}
	}
	vec_foreach (n, &s->ndps) {
		assert(n->interface);
		vec_foreach (d, &n->drops)
			assert(d->reason);
		vec_foreach (t, &n->rules)
			assert(t->text);
	}
	vec_foreach (p, &s->problems)
		assert(p->code && p->severity && p->message && p->cure);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *message = NULL, *cure = NULL;
	const char *text = (const char *)data;
	char error[API_ERROR_TEXT];
	struct api_status s;
	struct api_event e;
	int r;

	r = api_json_status_read(text, size, &s, error);
	assert(r == 0 || r == -EBADMSG || r == -ENOMEM);
	if (r == 0) {
		check(&s);
		api_status_done(&s);
	}
	r = api_json_error_read(text, size, &message, &cure);
	assert(r == 0 || r == -EBADMSG || r == -ENOMEM);
	assert((r == 0) == (message && cure));
	r = api_json_event_read(text, size, &e, error);
	assert(r == 0 || r == -EBADMSG || r == -ENOMEM);
	if (r == 0) {
		assert(e.time && e.kind && e.message && e.change && e.severity);
		api_event_done(&e);
	}
	return 0;
}
