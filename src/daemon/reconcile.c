/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "manager-private.h"
#include "model/native.h"
#include "model/ruleset-diff.h"
#include "wire/nft-text.h"

#include <stdio.h>
#include <time.h>

/* Above this, one pass gives up: so many refusals are no longer about single objects. */
#define REFUSALS_MAX 256
/* As often somebody else may commit between our reading and writing; then there is a later pass. */
#define ATTEMPTS_MAX 5
/* Foreign changes within the window that are repaired at once; more of them are backed off. */
#define REPAIRS_AT_ONCE 5
#define REPAIR_WINDOW_US (10 * UINT64_C(1000000))
#define REPAIR_PAUSE_US (1 * UINT64_C(1000000))
/* What comes later than this after the last one is no longer the same fight. */
#define REPAIRS_APART_US (60 * UINT64_C(1000000))
/* Rules of others that can but be leftovers are looked at this long after they have changed. */
#define LEFTOVERS_PAUSE_US (1 * UINT64_C(1000000))

/* ------------------------------------------------------------- applying */

static void describe_change(const struct ruleset_change *change, char *ret, size_t size)
{
	char element[128];

	if (change->element) {
		nft_text_element(change->set, change->element, element, sizeof(element));
		snprintf(ret, size, "element { %s } of %s", element, change->set->name);
	} else if (change->chain) {
		snprintf(ret, size, "%schain %s", change->rule ? "a rule of " : "",
			 change->chain->name);
	} else if (change->set) {
		snprintf(ret, size, "set %s", change->set->name);
	} else {
		snprintf(ret, size, "table %s", RULESET_TABLE);
	}
}

/* A retry meets the same refusal again. */
static void drop_repetition(struct problems *p)
{
	struct problem *last = &p->items[p->n - 1];

	for (struct problem *q = p->items; q < last; q++)
		if (problems_equal(q, last)) {
			free(last->message);
			free(last->cure);
			p->n--;
			return;
		}
}

bool manager_table_is_owned(const struct ruleset *observed)
{
	for (unsigned f = 0; f < _RULESET_FAMILY_MAX; f++)
		if (observed->tables[f].owned)
			return true;
	return false;
}

/* Nothing can be left out to make it work. */
static int remember_owner(struct manager *m)
{
	if (problems_add(&m->refused, PROBLEM_KERNEL_REFUSED, PROBLEM_ERROR,
			 "stop that program: \"nft list table ip6 " RULESET_TABLE
			 "\" begins with its name",
			 "table " RULESET_TABLE " belongs to another program, and the kernel lets "
			 "nobody else change it") < 0)
		return -ENOMEM;
	drop_repetition(&m->refused);
	return -EPERM;
}

static int remember_refusal(struct manager *m, const struct ruleset_change *change,
			    const struct fw_refusal *refusal)
{
	struct plan_refusal *added;
	char what[192];
	bool excludable = change->element || (change->chain && !change->chain->base);

	if (refusal->error == EPERM && manager_table_is_owned(&m->observed))
		return remember_owner(m);
	describe_change(change, what, sizeof(what));
	if (problems_add(&m->refused, PROBLEM_KERNEL_REFUSED, PROBLEM_ERROR,
			 excludable ? "everything else is in force; correct the object and run "
				      "ipv6natctl sync"
				    : "check that the kernel has nf_tables with nat and fib",
			 "the kernel refused %s: %s%s%s", what, strerror(refusal->error),
			 refusal->message[0] ? ": " : "", refusal->message) < 0)
		return -ENOMEM;
	drop_repetition(&m->refused);
	if (!excludable || m->refusals.n >= REFUSALS_MAX)
		return -refusal->error;

	added = vec_add(&m->refusals);
	if (!added)
		return -ENOMEM;
	added->family = change->family;
	if (change->element) {
		snprintf(added->set, sizeof(added->set), "%s", change->set->name);
		memcpy(added->key, change->element->key, sizeof(added->key));
		added->prefix_length = change->element->prefix_length;
	} else {
		snprintf(added->chain, sizeof(added->chain), "%s", change->chain->name);
	}
	return 1;
}

static void log_commit(const struct ruleset_changes *changes)
{
	size_t added = 0, deleted = 0, other = 0;

	vec_foreach (c, changes) {
		if (c->op == RULESET_ADD_ELEMENT)
			added++;
		else if (c->op == RULESET_DELETE_ELEMENT)
			deleted++;
		else
			other++;
	}
	log_debug("Committed: %zu elements added, %zu deleted, %zu other changes", added, deleted,
		  other);
}

/*
 * Sends the difference. 0: there was none; > 0: committed; < 0: -errno. With ret_refused, a change
 * that the kernel singled out is remembered, and *ret_refused set if the rest can do without it.
 */
static int commit_difference(struct manager *m, const struct ruleset *wanted, bool *ret_refused)
{
	struct ruleset_changes changes = {};
	struct fw_refusal refusal = {};
	int r;

	r = ruleset_diff(&m->observed, wanted, &changes);
	if (r == 0 && changes.n > 0)
		r = fw_commit(m->fw, &changes, &refusal);
	if (r > 0) {
		log_commit(&changes);
		(void)fw_forget_flows(m->fw, &changes, link_monitor_links(m->link_monitor));
	} else if (r < 0 && r != -ERESTART) {
		m->commit_errors++; /* its refusal, not that somebody else was faster */
	}
	if (r < 0 && ret_refused && refusal.error && refusal.change < changes.n)
		*ret_refused = remember_refusal(m, &changes.items[refusal.change], &refusal) > 0;
	vec_done(&changes);
	return r;
}

/*
 * Before the first rule of ours. What fails here only fails connections that are idle now; the commit
 * that follows will say what is wrong with nftables.
 */
static void begin_tracking(struct manager *m)
{
	struct ruleset tracking = {};
	int r;

	if (plan_tracking(&m->observed, &tracking) > 0 &&
	    commit_difference(m, &tracking, NULL) > 0) {
		ruleset_done(&m->observed);
		m->observed = tracking;
		tracking = (struct ruleset){};
		r = fw_adopt_connections(m->fw);
		if (r < 0)
			log_notice_errno(r, "Cannot list this host's connections, those through "
					    "docker-proxy may break: %m");
	}
	ruleset_done(&tracking);
}

static int read_tables(struct manager *m)
{
	struct ruleset read = {};
	int r = fw_read(m->fw, &read);

	if (r < 0)
		return log_error_errno(r, "Cannot read our tables from the kernel, will retry: %m");
	ruleset_done(&m->observed);
	m->observed = read;
	m->observed_valid = true;
	return 0;
}

/* From what the kernel has now. What is refused is left out, for the rest. */
static int read_and_commit(struct manager *m, struct plan *plan)
{
	bool refused = true;
	int r;

	r = read_tables(m);
	if (r < 0)
		return r;
	/* A repair is in a hurry, and conntrack still knows what our rules of before have tracked. */
	if (!m->applied)
		begin_tracking(m);
	while (refused) {
		refused = false;
		r = commit_difference(m, &plan->ruleset, &refused);
		if (refused)
			plan_without(plan, &m->refusals);
	}
	/* What the kernel refused is a problem, and logged as such: once, not at every retry. */
	if (r < 0)
		(void)log_full(m->refused.n > 0 || r == -ERESTART ? LOG_DEBUG : LOG_ERR, r,
			       "Cannot write our tables, will retry: %m");
	return r;
}

/*
 * Applies the plan. A first failure may mean that our picture of the tables is old: they are read
 * again and the difference is sent once more.
 */
static int apply(struct manager *m, struct plan *plan)
{
	int r;

	r = m->observed_valid ? commit_difference(m, &plan->ruleset, NULL) : -ERESTART;
	if (r >= 0)
		return r;
	r = -ERESTART;
	for (unsigned i = 0; i < ATTEMPTS_MAX && r == -ERESTART; i++)
		r = read_and_commit(m, plan);
	return r;
}

/* --------------------------------------------------------------- repairs */

static void on_foreign_change(void *userdata, pid_t pid, const char *process)
{
	struct manager *m = userdata;

	m->observed_valid = false;
	m->repairs.pid = pid;
	snprintf(m->repairs.process, sizeof(m->repairs.process), "%s", process);
	manager_dirty(m);
}

static void on_rules_of_others(void *userdata)
{
	struct manager *m = userdata;

	m->rules_of_others = true;
	/* Leftovers are in no hurry, and who makes them makes many, one after the other. */
	if (native_possible(docker_snapshot(m->docker)))
		manager_dirty(m);
	else
		manager_retry_at(m, manager_now(m) + LEFTOVERS_PAUSE_US);
}

static void on_lost(void *userdata)
{
	struct manager *m = userdata;

	log_notice("Notifications of the kernel were lost, reading our tables again");
	m->observed_valid = false;
	m->repairs.lost = true;
	m->rules_of_others = true;
	manager_dirty(m);
}

const struct fw_callbacks manager_fw_callbacks = {
	.on_foreign_change = on_foreign_change,
	.on_rules_of_others = on_rules_of_others,
	.on_lost = on_lost,
};

/* The first ones are told one by one, then that it goes on, and that each time their number has
 * doubled. */
static void log_repair(const struct repairs *p)
{
	const char *who = p->process[0] ? p->process : "another program";

	if (p->in_a_row <= REPAIRS_AT_ONCE)
		log_notice("Table %s was changed by %s (PID %d), repaired", RULESET_TABLE, who,
			   (int)p->pid);
	else if (p->in_a_row == REPAIRS_AT_ONCE + 1 || (p->in_a_row & (p->in_a_row - 1)) == 0)
		log_notice("Table %s was changed by %s (PID %d), repaired, %u times in a row; this "
			   "happens again and again, backing off",
			   RULESET_TABLE, who, (int)p->pid, p->in_a_row);
}

/*
 * After a commit that somebody else made necessary. Whose it was is unknown where the notification
 * was lost, in our own large commit above all: that happens in a fight, so it counts for the pace.
 */
static void count_repair(struct manager *m)
{
	struct repairs *p = &m->repairs;
	uint64_t now = manager_now(m);

	if (!p->pid && !p->lost)
		return;
	if (now - p->window_us > REPAIR_WINDOW_US) {
		p->window_us = now;
		p->recent = 0;
	}
	p->recent++;
	if (p->recent > REPAIRS_AT_ONCE) {
		p->not_before_us = now + REPAIR_PAUSE_US;
		/* for the status, if nothing happens any more */
		manager_retry_at(m, p->not_before_us);
	}
	if (!p->pid)
		return;
	p->total++;
	p->in_a_row = now - p->last_us > REPAIRS_APART_US ? 1 : p->in_a_row + 1;
	p->last_us = now;
	log_repair(p);
}

/* ------------------------------------------------------------------ pass */

static void finish_pass(struct manager *m, int error)
{
	VEC(struct sync_waiter) waiters = { m->waiters.items, m->waiters.n, 0 };

	if (m->waiting_for_docker)
		return;
	m->waiters.items = NULL;
	m->waiters.n = m->waiters.n_allocated = 0;
	m->sync_error = 0;
	vec_foreach (w, &waiters)
		w->done(w->userdata, error);
	vec_done(&waiters);
}

/* Passes the plan on: its ruleset becomes what is observed, the rest is for status. */
static void adopt(struct manager *m, struct plan *plan, bool applied)
{
	if (applied) {
		ruleset_done(&m->observed);
		m->observed = plan->ruleset;
		plan->ruleset = (struct ruleset){};
	}
	plan_done(&m->plan);
	m->plan = *plan;
	m->planned = true;
	m->applied = applied;
}

/* The event loop's clock stands still within a pass. */
static void count_latency(struct manager *m, uint64_t event_us)
{
	struct timespec now = {};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	status_latency_add(&m->latency, (uint64_t)now.tv_sec * 1000000 +
						(uint64_t)now.tv_nsec / 1000 - event_us);
}

static int pass(struct manager *m)
{
	uint64_t event_us;
	struct snapshot *snapshot = docker_snapshot(m->docker);
	struct links *links = link_monitor_links(m->link_monitor);
	struct plan plan = {};
	int r;

	if (!snapshot->complete || !links->complete)
		return -EAGAIN;
	if (m->rules_of_others || native_is_unknown(snapshot)) {
		r = fw_read_rules_of_others(m->fw, links);
		if (r < 0 && native_possible(snapshot))
			return log_error_errno(r, "Cannot read Docker's own rules, will retry: %m");
		if (r < 0)
			(void)log_warning_errno(r, "Cannot look for leftover rules: %m");
		m->rules_of_others = false;
	}
	native_update(snapshot, links);
	event_us = docker_take_event(m->docker);
	(void)link_read_br_netfilter(m->link_monitor);

	r = plan_build(&m->config, snapshot, links, &plan);
	if (r < 0)
		return log_error_errno(r, "Cannot make a plan, will retry: %m");
	plan_without(&plan, &m->refusals);
	r = m->options.dry_run ? 0 : apply(m, &plan);
	if (r > 0 && event_us)
		count_latency(m, event_us);
	if (r >= 0 && m->refusals.n == 0)
		problems_done(&m->refused);
	if (r > 0) {
		m->commits++;
		count_repair(m);
	}
	m->repairs.pid = 0;
	m->repairs.lost = false;
	/* After the rules: whoever is sent here by an answer finds them in place. */
	if (r >= 0 && !m->options.dry_run && ndp_apply(m->ndp, &plan.ndp) < 0)
		r = log_oom();
	adopt(m, &plan, r >= 0 && !m->options.dry_run);
	if (r >= 0 && !m->options.dry_run && manager_apply_sysctls(m) > 0)
		manager_dirty(m);
	return r < 0 ? r : 0;
}

static int reconcile(struct manager *m)
{
	uint64_t now = manager_now(m);
	int r;

	if (m->repairs.not_before_us > now && !m->observed_valid) {
		manager_retry_at(m, m->repairs.not_before_us);
		return 0;
	}
	r = pass(m);
	if (r == -EAGAIN) { /* not everything is known yet: the next fact calls again */
		if (m->sync_error < 0)
			finish_pass(m, m->sync_error);
		return 0;
	}
	if (r < 0)
		manager_retry_at(m, now + REPAIR_PAUSE_US);
	manager_refresh_problems(m);
	manager_announce(m);
	finish_pass(m, m->sync_error < 0 ? m->sync_error : r);
	if (!m->synced_once && m->options.on_first_sync) {
		m->synced_once = true;
		m->options.on_first_sync(m->options.userdata, r);
	}
	return r;
}

int manager_reconcile(struct manager *m)
{
	int r = reconcile(m);

	/* Also where there was no pass: Docker may be gone, or not there yet. */
	if (m->options.on_pass)
		m->options.on_pass(m->options.userdata);
	return r;
}
