/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static double read_cpu(void)
{
	struct rusage u;

	return getrusage(RUSAGE_SELF, &u) == 0 ? seconds(&u.ru_utime) + seconds(&u.ru_stime) : 0;
}

static uint64_t read_resident(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages;

	if (!f || fscanf(f, "%*u %llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Without the one that it is read by. */
static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	unsigned n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1;
}

/* Field 22 of stat, in ticks since the system's start; the name in field 2 may have any character. */
static double read_start(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/stat", "re");
	char line[1024];
	unsigned long long ticks;
	struct timespec now, since_boot;
	const char *rest;

	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	rest = strrchr(line, ')');
	if (!rest ||
	    sscanf(rest + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
		   "%*d %*d %llu",
		   &ticks) != 1 ||
	    clock_gettime(CLOCK_REALTIME, &now) < 0 ||
	    clock_gettime(CLOCK_BOOTTIME, &since_boot) < 0)
		return 0;
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
	       ((double)since_boot.tv_sec + (double)since_boot.tv_nsec / 1e9) +
	       (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void process_read(struct status_process *ret)
{
	*ret = (struct status_process){
		.cpu_s = read_cpu(),
		.started_s = read_start(),
		.resident_bytes = read_resident(),
		.open_fds = count_fds(),
	};
}
