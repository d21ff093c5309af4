/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/manager.h"

#include "base/log.h"
#include "manager-private.h"
#include "model/ruleset-diff.h"

#include <time.h>

/* After everything that brings facts: what has arrived by then makes one pass. In turns with the
 * answers to solicitations, of which there may be a flood. */
#define PRIORITY_RECONCILE NDP_EVENT_PRIORITY

uint64_t manager_now(const struct manager *m)
{
	uint64_t now = 0;

	(void)sd_event_now(m->event, CLOCK_MONOTONIC, &now);
	return now;
}

static int on_reconcile(sd_event_source *source, void *userdata)
{
	(void)source;
	(void)manager_reconcile(userdata); /* has logged, and will be called again */
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	manager_dirty(userdata);
	return 0;
}

/* The engine is read again by io/docker; here, the settings and rules (of x_tables) whose changes the
 * kernel keeps quiet. It may also take now what it has refused. */
static int on_resync(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)usec;
	(void)link_read_sysctls(m->link_monitor);
	m->rules_of_others = true;
	vec_done(&m->refusals);
	manager_dirty(m);
	(void)sd_event_source_set_time_relative(source, m->config.resync_s * UINT64_C(1000000));
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void manager_dirty(struct manager *m)
{
	int r = sd_event_source_set_enabled(m->reconcile, SD_EVENT_ONESHOT);

	if (r < 0)
		(void)log_error_errno(r, "Cannot schedule a pass: %m");
}

void manager_retry_at(struct manager *m, uint64_t time_us)
{
	uint64_t armed;
	int r;

	/* The earliest one counts: a pass asks again for what it still has to wait for. */
	if (sd_event_source_get_enabled(m->retry, NULL) > 0 &&
	    sd_event_source_get_time(m->retry, &armed) >= 0 && armed <= time_us)
		return;
	r = sd_event_source_set_time(m->retry, time_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->retry, SD_EVENT_ONESHOT);
	if (r < 0)
		(void)log_error_errno(r, "Cannot schedule a retry: %m");
}

static void on_change(void *userdata)
{
	manager_dirty(userdata);
}

static const struct docker_callbacks docker_callbacks = { .on_change = on_change };
static const struct link_callbacks link_callbacks = { .on_change = on_change };
static const struct ndp_callbacks ndp_callbacks = { .on_change = on_change };

static int explain_fw_error(int r)
{
	if (r == -EPERM || r == -EACCES)
		return log_error_errno(r, "No permission to change nftables: run as root or with "
					  "CAP_NET_ADMIN");
	if (r == -EOPNOTSUPP || r == -EPROTONOSUPPORT || r == -EINVAL || r == -ENOENT)
		return log_error_errno(
			r, "This kernel has no nf_tables (%m): load the module nf_tables, "
			   "or use a kernel that has it");
	return log_error_errno(r, "Cannot open netfilter's netlink socket: %m");
}

static int open_docker(struct manager *m, const struct config *c, struct docker **ret)
{
	_cleanup_(config_docker_done) struct config_docker where = {};
	struct docker_config dc;
	int r;

	r = config_docker_resolve(m->options.docker_option, c, &where);
	if (r < 0)
		return log_oom();
	dc = (struct docker_config){
		.host = where.host,
		.cert_path = where.cert_path,
		.tls_verify = where.tls_verify,
		.resync_us = c->resync_s * UINT64_C(1000000),
	};
	return docker_new(m->event, &dc, &docker_callbacks, m, ret);
}

static int add_sources(struct manager *m)
{
	int r;

	r = sd_event_add_defer(m->event, &m->reconcile, on_reconcile, m);
	if (r >= 0)
		r = sd_event_source_set_priority(m->reconcile, PRIORITY_RECONCILE);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->reconcile, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(m->event, &m->retry, CLOCK_MONOTONIC, UINT64_MAX, 0, on_retry,
				      m);
	if (r >= 0)
		r = sd_event_add_time_relative(m->event, &m->resync, CLOCK_MONOTONIC,
					       m->config.resync_s * UINT64_C(1000000), 0, on_resync,
					       m);
	return r < 0 ? log_error_errno(r, "Cannot set up the event loop: %m") : 0;
}

/* What needs no pass. */
static void adopt_config(struct manager *m)
{
	m->config_reads++;
	log_set_level(m->options.log_level >= 0 ? m->options.log_level : m->config.log_level);
	vec_foreach (w, &m->config.warnings)
		log_warning("%s", w->text);
}

int manager_new(sd_event *event, struct config *config, const struct manager_options *options,
		struct manager **ret)
{
	_cleanup_(manager_freep) struct manager *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return log_oom();
	m->event = sd_event_ref(event);
	m->options = *options;
	m->config = *config;
	*config = (struct config){};
	m->rules_of_others = true;
	m->started_us = manager_now(m);
	adopt_config(m);

	r = add_sources(m);
	if (r < 0)
		return r;
	/* Listening comes before reading, everywhere: what changes in between is not missed. */
	r = fw_new(event, &manager_fw_callbacks, m, &m->fw);
	if (r < 0)
		return explain_fw_error(r);
	r = link_monitor_new(event, &link_callbacks, m, &m->link_monitor);
	if (r < 0)
		return log_error_errno(r, "Cannot follow the interfaces by rtnetlink: %m");
	r = ndp_new(event, &ndp_callbacks, m, &m->ndp);
	if (r < 0)
		return log_error_errno(r, "Cannot set up the responder: %m");
	r = open_docker(m, &m->config, &m->docker);
	if (r < 0)
		return r;
	*ret = steal_ptr(&m);
	return 0;
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	docker_free(m->docker);
	ndp_free(m->ndp);
	link_monitor_free(m->link_monitor);
	fw_free(m->fw);
	sd_event_source_disable_unref(m->reconcile);
	sd_event_source_disable_unref(m->retry);
	sd_event_source_disable_unref(m->resync);
	plan_done(&m->plan);
	ruleset_done(&m->observed);
	vec_done(&m->refusals);
	problems_done(&m->refused);
	problems_done(&m->own);
	problems_done(&m->logged);
	vec_done(&m->sysctls);
	vec_done(&m->waiters);
	config_done(&m->config);
	sd_event_unref(m->event);
	free(m);
	return NULL;
}

/* ---------------------------------------------------------------- orders */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void on_docker_synced(void *userdata, int error)
{
	struct manager *m = userdata;

	m->waiting_for_docker = false;
	m->sync_error = error;
	manager_dirty(m);
}

/* Who waits for a synchronisation gets that of the new engine. */
static int replace_docker(struct manager *m, const struct config *c)
{
	struct docker *docker = NULL;
	int r;

	r = open_docker(m, c, &docker);
	if (r < 0)
		return r;
	docker_free(m->docker);
	m->docker = docker;
	if (m->waiting_for_docker) {
		r = docker_resync(docker, on_docker_synced, m);
		if (r < 0)
			on_docker_synced(m, r);
	}
	return 0;
}

int manager_reload(struct manager *m, char **ret_error)
{
	struct config config = {};
	int r;

	r = config_load(m->options.config_file, &config, ret_error);
	if (r >= 0 && (!same_text(config.docker_host, m->config.docker_host) ||
		       !same_text(config.docker_cert_path, m->config.docker_cert_path)))
		r = replace_docker(m, &config);
	if (r < 0) {
		config_done(&config);
		m->config_errors++;
		return r;
	}
	if (config.resync_s != m->config.resync_s) {
		docker_set_resync(m->docker, config.resync_s * UINT64_C(1000000));
		(void)sd_event_source_set_time_relative(m->resync,
							config.resync_s * UINT64_C(1000000));
	}
	config_done(&m->config);
	m->config = config;
	adopt_config(m);
	vec_done(&m->sysctls);
	vec_done(&m->refusals);
	manager_dirty(m);
	return 0;
}

int manager_sync(struct manager *m, void (*done)(void *userdata, int error), void *userdata)
{
	struct sync_waiter *w;
	int r;

	/* What was refused, or written to no effect, deserves a second try. */
	m->observed_valid = false;
	m->rules_of_others = true;
	vec_done(&m->refusals);
	problems_done(&m->refused);
	vec_done(&m->sysctls);
	(void)link_read_sysctls(m->link_monitor);

	w = vec_add(&m->waiters);
	if (!w)
		return -ENOMEM;
	*w = (struct sync_waiter){ done, userdata };
	if (m->waiting_for_docker)
		return 0;
	r = docker_resync(m->docker, on_docker_synced, m);
	if (r < 0) {
		m->waiters.n--;
		return r;
	}
	m->waiting_for_docker = true;
	return 0;
}

static int remove_tables(struct fw *fw)
{
	struct ruleset_changes changes = {};
	struct ruleset observed = {}, nothing = {};
	struct fw_refusal refusal = {};
	int r;

	r = fw_read(fw, &observed);
	if (r >= 0)
		r = ruleset_diff(&observed, &nothing, &changes);
	if (r >= 0)
		r = fw_commit(fw, &changes, &refusal);
	if (r == -EPERM && manager_table_is_owned(&observed))
		(void)log_error_errno(r,
				      "Cannot remove our tables: another program owns them and "
				      "has to be stopped first; \"nft list table ip6 " RULESET_TABLE
				      "\" begins with its name");
	else if (r < 0)
		(void)log_error_errno(r, "Cannot remove our tables: %m%s%s",
				      refusal.message[0] ? ": " : "", refusal.message);
	vec_done(&changes);
	ruleset_done(&observed);
	return r;
}

void manager_stop(struct manager *m)
{
	if (m->config.on_stop == CONFIG_ON_STOP_REMOVE && !m->options.dry_run &&
	    remove_tables(m->fw) >= 0)
		log_info("Removed our tables (OnStop=remove)");
}

int manager_cleanup(sd_event *event)
{
	static const struct fw_callbacks deaf;
	_cleanup_(fw_freep) struct fw *fw = NULL;
	int r;

	r = fw_new(event, &deaf, NULL, &fw);
	if (r < 0)
		return explain_fw_error(r);
	return remove_tables(fw);
}
