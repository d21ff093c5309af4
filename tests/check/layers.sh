#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# No include points up or sideways (layers.awk).
set -euo pipefail
shopt -s nullglob

awk -f tests/check/layers.awk src/*/*.[ch] include/*/*.h
