/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* GET /metrics: the status in the text format of Prometheus, version 0.0.4. */
#include "base/status.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* Ports beyond these have no counter of their own; a metric says how many they are. */
#define METRICS_PORTS_MAX 1000

/* *ret is malloc()ed. 0 or -ENOMEM. */
int metrics_text(const struct status *s, char **ret);
