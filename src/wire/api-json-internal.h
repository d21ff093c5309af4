/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the documents of the control API are made of. All return NULL without memory. */
#include "base/status.h"

#include <jansson.h>

/*
 * Docker's strings are UTF-8, having come as JSON; a process's name in a problem need not be.
 * Every byte that is no ASCII becomes '?' then.
 */
json_t *api_text(const char *s);
json_t *api_text_or_null(const char *s); /* null: NULL or "" */
json_t *api_count(uint64_t n);
json_t *api_address(const struct in6_addr *a);
json_t *api_address_or_null(const struct in6_addr *a); /* null: zero */
json_t *api_prefix(const struct inet_prefix *p);
json_t *api_mac_or_null(const struct status_uplink *u);

/* Builds the array of what "encode" makes of each item; NULL without memory. */
#define ENCODE_ARRAY(v, encode)                                                 \
	({                                                                      \
		json_t *array_ = json_array();                                  \
		vec_foreach (item_, v)                                          \
			if (json_array_append_new(array_, encode(item_)) < 0) { \
				json_decref(array_);                            \
				array_ = NULL;                                  \
				break;                                          \
			}                                                       \
		array_;                                                         \
	})
