/*
 * Moves a program's clocks while it runs: loaded by LD_PRELOAD. FAULT_CLOCK names a file of two native 64-bit integers,
 * what CLOCK_REALTIME and CLOCK_BOOTTIME are ahead of the kernel's, in nanoseconds; whoever writes there moves them.
 *
 * Timers on CLOCK_BOOTTIME with an absolute time are moved back by as much, so that they ring when the program's own
 * clock says so. One that is armed already rings when it would have: as after a suspend, the program sees then how late
 * it is.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define SECOND	 INT64_C(1000000000)

enum { REAL, BOOT };

static const volatile int64_t none[2];
static const volatile int64_t *offsets = none;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(none), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		offsets = p;
}

static struct timespec moved(struct timespec t, int64_t by)
{
	int64_t ns = t.tv_sec * SECOND + t.tv_nsec + by;
	return (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
}

EXPORTED int clock_gettime(clockid_t clock, struct timespec *t)
{
	struct timespec now;
	if (syscall(SYS_clock_gettime, clock, &now) < 0)
		return -1;
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now = moved(now, offsets[REAL]);
	else if (clock == CLOCK_BOOTTIME)
		now = moved(now, offsets[BOOT]);
	*t = now;
	return 0;
}

EXPORTED int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return -1;
	*t = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}

EXPORTED time_t time(time_t *ret)
{
	struct timespec now = {0};
	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

EXPORTED int timerfd_settime(int fd, int flags, const struct itimerspec *spec, struct itimerspec *old)
{
	struct itimerspec kernel = *spec;
	if ((flags & TFD_TIMER_ABSTIME) && (spec->it_value.tv_sec || spec->it_value.tv_nsec)) {
		kernel.it_value = moved(spec->it_value, -offsets[BOOT]);
		if (kernel.it_value.tv_sec < 0 || kernel.it_value.tv_nsec <= 0)
			kernel.it_value = (struct timespec){.tv_nsec = 1}; /* zero would disarm it */
	}
	return (int)syscall(SYS_timerfd_settime, fd, flags, &kernel, old);
}
