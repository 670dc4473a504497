/*
 * Time as values. Nothing in lib reads a clock: a struct instant is handed in with every event.
 *
 * unix_ms  wall clock (CLOCK_REALTIME), for records, metric periods and signatures; may jump.
 * boot_ms  CLOCK_BOOTTIME: monotonic, runs through suspend; bakes and time-outs are measured on it.
 */
#pragma once

#include <stdint.h>

struct instant {
	int64_t unix_ms;
	int64_t boot_ms;
};

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_MINUTE (60 * MS_PER_SECOND)
#define MS_PER_HOUR   (60 * MS_PER_MINUTE)
#define MS_PER_DAY    (24 * MS_PER_HOUR)
