#include "daemon/sd/notify.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/mem.h"

static int say(const char *text)
{
	int r = sd_notify(0, text);
	return r < 0 ? r : 0;
}

int notify_ready(void)
{
	return say("READY=1");
}

int notify_stopping(void)
{
	return say("STOPPING=1");
}

int notify_reloading(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int r = sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%jd",
			   (intmax_t)now.tv_sec * 1000000 + (intmax_t)now.tv_nsec / 1000);
	return r < 0 ? r : 0;
}

int notify_status(const char *text)
{
	int r = sd_notifyf(0, "STATUS=%s", text);
	return r < 0 ? r : 0;
}

int notify_alive(void)
{
	return say("WATCHDOG=1");
}

int64_t notify_watchdog_ms(void)
{
	uint64_t us;
	return sd_watchdog_enabled(0, &us) > 0 ? (int64_t)(us / 1000) : 0;
}
