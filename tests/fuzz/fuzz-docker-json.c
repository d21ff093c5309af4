/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever an engine answers: each decoder reads it as if it were meant for it. */
#include "wire/docker-json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *why;
	struct containers containers;
	struct container container;
	struct networks networks;
	struct docker_event event;
	struct engine engine = {};
	struct network network;
	char message[64];
	unsigned skipped;

	(void)docker_json_version(text, size, &engine, &why);
	(void)docker_json_info(text, size, &engine, &why);
	engine_done(&engine);
	(void)docker_json_event(text, size, &event, &why);
	docker_json_error(text, size, message, sizeof(message));
	if (docker_json_container(text, size, &container, &why) == 0)
		container_done(&container);
	if (docker_json_containers(text, size, &containers, &skipped, &why) == 0)
		containers_done(&containers);
	if (docker_json_network(text, size, &network, &why) == 0)
		network_done(&network);
	if (docker_json_networks(text, size, &networks, &skipped, &why) == 0)
		networks_done(&networks);
	return 0;
}
