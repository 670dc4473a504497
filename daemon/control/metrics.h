/* GET /metrics: the daemon's counters in Prometheus' text exposition format, version 0.0.4. */
#pragma once

#include "daemon/control/backend.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_format(const struct backend *b, struct buf *out);
