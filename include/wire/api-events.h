/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * GET /v1/events: what changed between two pictures of the status, one JSON object per line.
 *
 *   {"time":"2026-01-01T00:00:00.123Z","kind":"network","change":"changed","name":"ula",
 *    "message":"…in words…",  …the object as it is now…,  "was":{"mode":"nat"}}
 *
 * time is UTC. change is "added", "removed" (the object is what it was) or "changed" (was: the keys
 * that differ, as they were). kind, name and the object's keys, null where nothing is known:
 *
 *   engine     its URL                connected version api
 *   config     "configuration"        reads
 *   uplink     interface              up mac prefixes addresses
 *   network    name                   id bridge subnets mode reason uplink snat
 *   container  name                   id network address
 *   port       "8080/tcp"             network container protocol host_address host_port
 *                                     container_port state
 *   address    address or prefix      interface container (null: a static rule)
 *   problem    code                   code severity cure
 *   ruleset    table                  backend commits repairs elements
 *
 * Two more kinds have no change: "hello", the first line, with version and state; and "lost", with
 * the number of lines that a slow reader has missed. An empty line means nothing. Kinds and keys
 * may be added.
 */
#include "base/status.h"

struct api_picture;

/* All that a line may be about; independent of *s. 0 or -ENOMEM. */
int api_picture_new(const struct status *s, struct api_picture **ret);
struct api_picture *api_picture_free(struct api_picture *p);
DEFINE_CLEANUP(struct api_picture *, api_picture_free)

/*
 * The lines, "" if there are none, each ended by a newline; *ret is malloc()ed. time_us: wall clock,
 * microseconds since 1970. 0 or -ENOMEM.
 */
int api_events(const struct api_picture *before, const struct api_picture *after, uint64_t time_us,
	       char **ret);
int api_events_hello(const struct status *s, uint64_t time_us, char **ret);
int api_events_lost(uint64_t lost, uint64_t time_us, char **ret);
