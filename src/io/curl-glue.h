/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * libcurl's multi interface on sd-event: GET requests to one server, side by side, and one stream
 * of lines. Callbacks are called from the event loop, never from inside libcurl or from
 * curl_request_new(), so they may start and free requests as they like.
 */
#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct curl_glue;
struct curl_request;

struct curl_glue_config {
	const char *base_url;  /* "http://localhost", "https://host:2376": paths are appended */
	const char *unix_path; /* the socket; NULL: TCP */
	const char *cert_path; /* directory of ca.pem, cert.pem and key.pem; NULL: none */
	bool verify;           /* the server's certificate */
	size_t answer_max;     /* bytes of one answer, or of one line of a stream */
};

struct curl_answer {
	/* 0: complete. -errno: cut, refused, over answer_max (-E2BIG) ...; error_text says more. */
	int error;
	const char *error_text;
	long status; /* HTTP's; 0 before there is one */
	const char *body;
	size_t length;
	const char *api_version; /* header Api-Version; "" if absent */
	int64_t date;            /* header Date, seconds since 1970; 0 if absent */
};

struct curl_request_config {
	const char *path;
	uint64_t timeout_us; /* 0: wait as long as it takes */
	/* Called once, at the end; it usually frees the request. */
	void (*on_done)(void *userdata, const struct curl_answer *answer);
	/* With this, an answer of status 200 is a stream, given line by line without its CR LF. */
	void (*on_line)(void *userdata, const char *line, size_t length);
	/* A stream only: the headers say 200. */
	void (*on_open)(void *userdata);
	void *userdata;
};

int curl_glue_new(sd_event *event, const struct curl_glue_config *config, struct curl_glue **ret);
/* All requests have been freed before. */
struct curl_glue *curl_glue_free(struct curl_glue *g);
DEFINE_CLEANUP(struct curl_glue *, curl_glue_free)

/* -EBUSY: there is a stream already. */
int curl_request_new(struct curl_glue *g, const struct curl_request_config *config,
		     struct curl_request **ret);
/* Cancels it, if it is still under way; no callback is called any more. */
struct curl_request *curl_request_free(struct curl_request *r);
DEFINE_CLEANUP(struct curl_request *, curl_request_free)
