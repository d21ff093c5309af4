/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where systemd holds the engine's socket (docker.socket), whoever connects starts the engine, also
 * one that is being stopped, which still has events to tell but accepts no one any more. That is not for us
 * to do: systemd is asked before, and again when docker.service changes. Where nobody can be asked, as in
 * a container, we connect.
 */
#include "base/log.h"
#include "io/docker-private.h"

#include <errno.h>
#include <string.h>

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define SERVICE_PATH MANAGER_PATH "/unit/docker_2eservice"
/* For systemd's answer; longer than that, and we connect. */
#define ANSWER_US 2000000ULL

static void greet(struct docker *d)
{
	int r;

	if (d->phase != DOCKER_ASKING)
		return;
	d->phase = DOCKER_GREETING;
	r = docker_greet(d);
	if (r < 0)
		docker_disconnect(d, r, strerror(-r));
}

static bool is_stopped(const char *active, const char *sub)
{
	return strcmp(active, "inactive") == 0 || strcmp(active, "failed") == 0 ||
	       strcmp(active, "deactivating") == 0 ||
	       (strcmp(active, "activating") == 0 &&
		strncmp(sub, "auto-restart", strlen("auto-restart")) == 0);
}

static int on_units(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error)
{
	const char *name, *active, *sub;
	bool listens = false, stopped = false;
	struct docker *d = userdata;
	int r = -sd_bus_message_get_errno(answer);

	(void)ret_error;
	if (r == 0)
		r = sd_bus_message_enter_container(answer, 'a', "(ssssssouso)");
	while (r >= 0 &&
	       (r = sd_bus_message_read(answer, "(ssssssouso)", &name, NULL, NULL, &active, &sub,
					NULL, NULL, NULL, NULL, NULL)) > 0) {
		if (strcmp(name, "docker.socket") == 0)
			listens = strcmp(active, "active") == 0;
		else if (strcmp(name, "docker.service") == 0)
			stopped = is_stopped(active, sub);
	}
	if (r < 0)
		log_debug_errno(r, "Cannot ask systemd for docker.service, going on without: %m");
	docker_unit_cancel(d);
	if (r >= 0 && listens && stopped)
		docker_disconnect(d, -ECONNREFUSED, "docker.service is not running");
	else
		greet(d);
	return 0;
}

static int on_late(sd_event_source *source, uint64_t now_us, void *userdata)
{
	struct docker *d = userdata;

	(void)source;
	(void)now_us;
	if (!d->unit_question)
		return 0;
	log_debug("systemd does not say whether docker.service runs, going on without.");
	docker_unit_done(d);
	greet(d);
	return 0;
}

static int on_change(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
	struct docker *d = userdata;

	(void)signal;
	(void)ret_error;
	if (d->phase == DOCKER_WAITING)
		docker_connect(d);
	else if (!d->unit_question)
		(void)docker_unit_ask(d);
	return 0;
}

static int open_bus(struct docker *d)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
	int r;

	if (d->bus && sd_bus_is_open(d->bus) > 0)
		return 0;
	docker_unit_done(d);
	r = sd_bus_open_system(&bus);
	if (r >= 0)
		r = sd_bus_attach_event(bus, d->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_bus_match_signal_async(bus, NULL, MANAGER, SERVICE_PATH,
					      "org.freedesktop.DBus.Properties",
					      "PropertiesChanged", on_change, NULL, d);
	if (r >= 0)
		r = sd_bus_call_method_async(bus, NULL, MANAGER, MANAGER_PATH, MANAGER ".Manager",
					     "Subscribe", NULL, NULL, "");
	if (r >= 0)
		d->bus = steal_ptr(&bus);
	return r < 0 ? r : 0;
}

int docker_unit_ask(struct docker *d)
{
	const char *path = d->address.unix_path;
	int r;

	if (!path ||
	    (strcmp(path, "/run/docker.sock") != 0 && strcmp(path, "/var/run/docker.sock") != 0))
		return 0;
	r = open_bus(d);
	if (r >= 0)
		r = docker_arm(d, &d->unit_late, ANSWER_US, 1000, on_late, "docker-unit");
	if (r >= 0)
		r = sd_bus_call_method_async(d->bus, &d->unit_question, MANAGER, MANAGER_PATH,
					     MANAGER ".Manager", "ListUnitsByNames", on_units, d,
					     "as", 2, "docker.socket", "docker.service");
	if (r < 0) {
		log_debug_errno(r, "Cannot ask systemd for docker.service, going on without: %m");
		return 0;
	}
	return 1;
}

void docker_unit_cancel(struct docker *d)
{
	d->unit_question = sd_bus_slot_unref(d->unit_question);
	if (d->unit_late)
		(void)sd_event_source_set_enabled(d->unit_late, SD_EVENT_OFF);
}

void docker_unit_done(struct docker *d)
{
	docker_unit_cancel(d);
	d->bus = sd_bus_close_unref(d->bus);
}
