/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* cmocka's header needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
