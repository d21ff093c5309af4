/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The insides of io/docker:
 *
 *   docker.c          life: new, free, connect, back-off, trouble
 *   docker-greet.c    GET /_ping, /version, /info: who is there, and which API it speaks
 *   docker-events.c   the event stream: what it touches becomes dirty
 *   docker-objects.c  dirty objects are read again, one request per object
 *   docker-sync.c     the full resync: both lists
 *   docker-apply.c    answers become facts of the snapshot
 *   docker-compare.c  are two facts the same? (pure)
 *   docker-watch.c    the unix socket's appearance
 *   docker-unit.c     would connecting to it start the engine? systemd is asked
 */
#include "base/own.h"
#include "io/curl-glue.h"
#include "io/docker.h"
#include "wire/docker-json.h"
#include "wire/docker-url.h"

#include <sys/queue.h>
#include <systemd/sd-bus.h>

#define BACKOFF_MIN_US 100000ULL
#define BACKOFF_MAX_US 5000000ULL

enum docker_phase {
	DOCKER_WAITING,     /* for the back-off to end or the socket to appear */
	DOCKER_ASKING,      /* systemd, whether to connect would start the engine */
	DOCKER_GREETING,    /* until /version has said who it is */
	DOCKER_SUBSCRIBING, /* until the event stream is open */
	DOCKER_SYNCING,     /* until the first full resync of this connection */
	DOCKER_FOLLOWING,
};

enum object_kind {
	OBJECT_NETWORK,
	OBJECT_CONTAINER,
};

/* Separate queues, for an inspect may block as long as a container starts. */
enum object_queue {
	QUEUE_NETWORKS,
	QUEUE_CONTAINERS,
	QUEUE_BACKGROUND, /* containers of which only the requested ports are missing */
	_QUEUE_MAX,
	QUEUE_NONE = _QUEUE_MAX,
};

struct object {
	TAILQ_ENTRY(object) entries;
	struct docker *docker;
	enum object_kind kind;
	char id[DOCKER_ID_LENGTH + 1];
	enum object_queue queue;
	enum object_queue in_flight; /* the queue that the request came from */
	struct curl_request *request;
	uint64_t touched;  /* docker.clock when an event or an answer was the last to speak */
	uint64_t retry_us; /* != 0: the last GET failed, the next one is due then */
	uint64_t backoff_us;
	uint64_t sent_us;       /* when the request was made */
	uint64_t event_us;      /* when the event arrived that the request is about; 0: none */
	uint64_t next_event_us; /* of one that arrived while a request was in flight */
	const char *refused;    /* why the last answer was refused; NULL: it was not */
	bool again;             /* touched while a request was in flight, or one was cancelled */
	bool verified;          /* inspected since the engine connected */
	bool gone;              /* destroyed: a list that says otherwise is older */
	bool awaited;           /* the resync is not complete without it */
	bool gate;              /* nor is the first snapshot */
};

struct waiter {
	void (*on_synced)(void *userdata, int error);
	void *userdata;
};
struct waiters {
	VEC_FIELDS(struct waiter);
};

struct sync {
	struct curl_request *networks_request, *containers_request;
	struct networks networks;
	struct containers containers;
	unsigned networks_skipped, containers_skipped;
	const char *why_skipped;
	bool have_networks, have_containers;
	bool running;
	bool applied;     /* the lists are facts; it waits for single objects */
	bool again;       /* asked for once more while it ran */
	uint64_t started; /* docker.clock */
	unsigned n_awaited, n_gates;
	uint64_t backoff_us;
	struct waiters waiters; /* of the one that runs, or is to be started */
	struct waiters next;    /* of the one after it */
	sd_event_source *timer; /* the periodic one, and retries */
	sd_event_source *limit; /* how long on_synced waits for what is blocked */
};

struct docker {
	sd_event *event;
	struct docker_callbacks callbacks;
	void *userdata;
	char *cert_path;
	struct docker_address address;
	uint64_t resync_us;

	struct curl_glue *curl;
	enum docker_phase phase;
	struct snapshot snapshot;
	bool on_change_due;         /* small changes, reported together */
	uint64_t applying_event_us; /* of what is being applied; 0: no event's doing */
	uint64_t event_us;          /* for docker_take_event() */

	/* connection */
	struct curl_request *ping, *version, *info, *stream;
	bool renegotiated;
	bool info_known;
	bool was_connected; /* once, so that the next time is a return */
	int64_t engine_date;
	uint64_t connected_us;
	uint64_t backoff_us;
	sd_event_source *reconnect; /* back-off */
	sd_event_source *hang;      /* says so when the engine does not answer */
	sd_event_source *watch;     /* inotify */
	uint64_t watched_inode;     /* of the socket at the last attempt */
	sd_bus *bus;                /* to systemd; NULL: not asked yet, or not to be had */
	sd_bus_slot *unit_question;
	sd_event_source *unit_late;

	/* objects */
	VEC(struct object *) objects; /* sorted by kind and id */
	TAILQ_HEAD(, object) queues[_QUEUE_MAX];
	unsigned n_in_flight[_QUEUE_MAX];
	uint64_t clock; /* orders events and answers */
	sd_event_source *retry;
	unsigned n_bad_lines;

	struct sync sync;

	/* problems */
	char *trouble; /* why there is no connection or no resync; NULL: all is well */
	const char *cure;
	enum problem_code trouble_code;
	VEC(char *) logged; /* what has been logged of this trouble */
	struct problems problems;
};

/* docker.c */
uint64_t docker_now(const struct docker *d); /* CLOCK_MONOTONIC */
/* Arms a one-shot timer, which is made when first needed. */
int docker_arm(struct docker *d, sd_event_source **source, uint64_t delay_us, uint64_t accuracy_us,
	       sd_event_time_handler_t handler, const char *name);
void docker_connect(struct docker *d);
void docker_connect_soon(struct docker *d, uint64_t delay_us);
/* Says so if there is no answer for long; nothing is given up. */
void docker_watch_for_hang(struct docker *d);
/* The connection is of no use: everything stays as it is, and is tried again later. */
void docker_disconnect(struct docker *d, int error, const char *why);
_printf_(3, 4) void docker_trouble(struct docker *d, int error, const char *format, ...);
void docker_trouble_over(struct docker *d);
/* Something that a reader of the snapshot or of the problems can see has changed. */
void docker_changed(struct docker *d);
void docker_changed_flush(struct docker *d);
void docker_update_problems(struct docker *d);
/* "Cannot ...: HTTP 500: message", for an answer other than 200. */
void docker_describe(const struct curl_answer *answer, char *ret, size_t size);

/* docker-unit.c */
/* > 0: systemd is asked whether to connect would start the engine. If so, docker_disconnect() is what
 * comes of it in any phase; else it is docker_greet() in DOCKER_ASKING. 0: it cannot be asked. */
int docker_unit_ask(struct docker *d);
void docker_unit_cancel(struct docker *d);
void docker_unit_done(struct docker *d);

/* docker-greet.c */
int docker_greet(struct docker *d);

/* docker-events.c */
int docker_subscribe(struct docker *d);

/* docker-objects.c */
struct object *docker_object(struct docker *d, enum object_kind kind, const char *id);
void docker_touch(struct docker *d, struct object *o); /* an event: read it again */
void docker_read(struct docker *d, struct object *o, enum object_queue queue);
/* It does not exist any more. */
void docker_dropped(struct docker *d, struct object *o);
/* An answer is under way or wanted, other than for the requested ports alone. */
bool docker_object_is_busy(const struct object *o);
void docker_pump(struct docker *d);
void docker_cancel_objects(struct docker *d);
void docker_collect_objects(struct docker *d);
void docker_free_objects(struct docker *d);

/* docker-sync.c */
void docker_sync_start(struct docker *d);
void docker_sync_soon(struct docker *d, uint64_t delay_us);
void docker_sync_info_known(struct docker *d);
/* Nobody needs to wait for this object any more. */
void docker_sync_release(struct docker *d, struct object *o);
void docker_sync_fail_waiters(struct docker *d, int error);
void docker_sync_cancel(struct docker *d, int error);
void docker_sync_free(struct docker *d);

/* docker-apply.c: these take over what *c, *n hold. */
void docker_apply_container(struct docker *d, struct container *c, bool is_background);
void docker_apply_network(struct docker *d, struct network *n);
void docker_drop_container(struct docker *d, const char *id);
/* The network cannot be read: who is starting there is no longer known. */
void docker_forget_starting(struct docker *d, const char *id);
void docker_drop_network(struct docker *d, const char *id);
/* Both lists of the sync; true if the snapshot changed. */
bool docker_apply_lists(struct docker *d);
/* An IPv6 bridge, or one that may be one on this host: the only kind that is read one by one. */
bool docker_network_matters(const struct network *n);
/* Containers do not list it among theirs: its own members tell who publishes ports there. */
bool docker_network_is_gwbridge(const struct network *n);

/* docker-compare.c */
bool container_equal(const struct container *a, const struct container *b);
/* Does the list say what is known already? It leaves out routed ports (29), requests and times. */
bool container_agrees(const struct container *known, const struct container *listed);
bool network_equal(const struct network *a, const struct network *b);
bool network_equal_but_members(const struct network *a, const struct network *b);

/* docker-watch.c */
void docker_watch_start(struct docker *d);
void docker_watch_stop(struct docker *d);
uint64_t docker_watch_inode(const struct docker *d); /* of the socket; 0: there is none */
