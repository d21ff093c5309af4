/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake-engine PATH: an engine with recorded networks and containers, on a unix socket. */
#include "unit/fake-engine.h"

int main(int argc, char **argv)
{
	struct fake *f;

	if (argc != 2)
		return 2;
	f = fake_new("20.10.24", "1.41");
	snprintf(f->path, sizeof(f->path), "%s", argv[1]);
	fake_listen(f);
	return sd_event_loop(f->event) < 0;
}
