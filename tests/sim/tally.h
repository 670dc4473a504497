/*
 * What a run of the simulator has met, added up over all seeds: a simulator that never met a fault has shown nothing
 * about it. Plain numbers, so that workers can hand them over a pipe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(identifier, "as the table names it") */
#define TALLY_LIST(X)                                                                                                  \
	X(SEEDS, "seeds")                                                                                              \
	X(SIMULATED_MS, "simulated ms")                                                                                \
	X(STEPS, "events of the simulation")                                                                           \
	X(TURNS, "turns of the engine")                                                                                \
	X(COMMITS, "transactions")                                                                                     \
	X(CALLS, "calls to AWS")                                                                                       \
	X(WRITES, "UpdateAlias sent")                                                                                  \
	X(LANDED, "weights that landed")                                                                               \
	X(LANDED_LATE, "of them after their caller gave up")                                                           \
	X(CONFLICTS, "conflicts (412)")                                                                                \
	X(STRUCK_THROTTLE, "throttle")                                                                                 \
	X(STRUCK_ERROR_500, "error500")                                                                                \
	X(STRUCK_ERROR_503, "error503")                                                                                \
	X(STRUCK_ACCESS_DENIED, "access_denied")                                                                       \
	X(STRUCK_LOST_BEFORE, "lost_before")                                                                           \
	X(STRUCK_LOST_AFTER, "lost_after")                                                                             \
	X(STRUCK_LATE, "late")                                                                                         \
	X(STRUCK_TWICE, "twice")                                                                                       \
	X(STRUCK_DELAY, "delay")                                                                                       \
	X(STRUCK_GARBAGE, "garbage")                                                                                   \
	X(STRUCK_HTML, "html")                                                                                         \
	X(STRUCK_TRUNCATED, "truncated")                                                                               \
	X(STRUCK_RESET, "reset")                                                                                       \
	X(STRUCK_STALE, "stale")                                                                                       \
	X(STRUCK_METRICS_MISSING, "metrics_missing")                                                                   \
	X(STRUCK_METRICS_PARTIAL, "metrics_partial")                                                                   \
	X(STRUCK_METRICS_ERROR, "metrics_error")                                                                       \
	X(STRUCK_METRICS_DELAY, "metrics_delay")                                                                       \
	X(NO_CONNECTION, "no connection")                                                                              \
	X(KEYS_OUT, "calls without keys")                                                                              \
	X(REGION_OUT, "regions out")                                                                                   \
	X(KILLS, "kills")                                                                                              \
	X(KILLS_AT_WRITE, "kills at the moment of a write")                                                            \
	X(KILLS_IN_RECOVERY, "kills during recovery")                                                                  \
	X(POWER_CUTS, "power cuts")                                                                                    \
	X(REBOOTS, "reboots")                                                                                          \
	X(RESTARTS, "orderly restarts")                                                                                \
	X(STOPS, "stops (SIGSTOP)")                                                                                    \
	X(CLOCK_JUMPS, "clock jumps")                                                                                  \
	X(SECOND_DAEMONS, "second daemons refused")                                                                    \
	X(USURPERS, "daemons that took over")                                                                          \
	X(STALE_DAEMONS, "stale daemons that stopped")                                                                 \
	X(DISK_FAULTS, "disk errors")                                                                                  \
	X(DISK_FULL, "disks full")                                                                                     \
	X(OPEN_FAILURES, "starts that the disk refused")                                                               \
	X(TORN, "writes torn by a power cut")                                                                          \
	X(DROPPED, "writes dropped by a power cut")                                                                    \
	X(COMMIT_FAILURES, "transactions that failed")                                                                 \
	X(HUMAN_WRITES, "writes by a human")                                                                           \
	X(HUMAN_DELETES, "aliases deleted by a human")                                                                 \
	X(FOREIGN_SEEN, "foreign writes recognised")                                                                   \
	X(PLANS, "plans taken")                                                                                        \
	X(SUPERSEDED, "of them in place of a live one")                                                                \
	X(UNCHANGED, "plans unchanged")                                                                                \
	X(COMMANDS, "operator's commands")                                                                             \
	X(COMMANDS_REFUSED, "of them refused")                                                                         \
	X(GAUGES, "metrics of others that went wrong")                                                                 \
	X(ALARMS, "alarms that changed")                                                                               \
	X(PROBES, "probes sent")                                                                                       \
	X(PROBES_FAILED, "of them failed")                                                                             \
	X(JUDGED, "judgements")                                                                                        \
	X(JUDGED_AGAIN, "of them made again by the checker")                                                           \
	X(JUDGED_COMPARED, "of those, comparisons")                                                                    \
	X(JUDGED_FAILED, "of those, failures")                                                                         \
	X(DRY_FAILURES, "failures of what only runs dry")                                                              \
	X(CONCLUDED, "experiments that were over")                                                                     \
	X(EQUAL_1, "equal canaries compared at 1 %")                                                                   \
	X(EQUAL_1_FAILED, "of them rolled back by that")                                                               \
	X(EQUAL_10, "equal canaries compared at 10 %")                                                                 \
	X(EQUAL_10_FAILED, "of them rolled back by that")                                                              \
	X(EQUAL_50, "equal canaries compared at 50 %")                                                                 \
	X(EQUAL_50_FAILED, "of them rolled back by that")                                                              \
	X(HOOKS, "hooks run")                                                                                          \
	X(ENDED_SUCCEEDED, "succeeded")                                                                                \
	X(ENDED_ROLLED_BACK, "rolled back")                                                                            \
	X(ENDED_FAILED, "failed")                                                                                      \
	X(BLOCKED, "blocked")                                                                                          \
	X(RESOLVED, "resolved by an operator at the end")                                                              \
	X(CHECK_INTENT, "checks: 1 intent first")                                                                      \
	X(CHECK_WEIGHT, "checks: 2 only asked-for weights")                                                            \
	X(CHECK_EVIDENCE, "checks: 3 no advance without evidence")                                                     \
	X(CHECK_HOME, "checks: 4 failure goes home")                                                                   \
	X(CHECK_FOREIGN, "checks: 5 never over another writer")                                                        \
	X(CHECK_ONE_WRITER, "checks: 6 one writer at a time")                                                          \
	X(CHECK_CRASH, "checks: 7 a crash costs nothing")                                                              \
	X(CHECK_END, "checks: 8 the end is clean")                                                                     \
	X(CHECK_SECRET, "checks: 9 no secret")                                                                         \
	X(CHECK_BOUNDED, "checks: 10 bounded")                                                                         \
	X(CHECK_LIVENESS, "checks: everything ends")

enum tally_item {
#define TALLY_ENUM(id, text) TALLY_##id,
	TALLY_LIST(TALLY_ENUM)
#undef TALLY_ENUM
	    TALLY_COUNT,
};

struct tally {
	uint64_t n[TALLY_COUNT];
};

const char *tally_name(enum tally_item i);
/* The item of a fault of the simulated AWS, by its name there; false: there is none. */
bool tally_of_fault(const char *fault, enum tally_item *ret);
void tally_add(struct tally *into, const struct tally *from);
/* The table for people. `seconds`: how long it took. */
void tally_print(const struct tally *t, double seconds);
/* Whether canaries that are no worse were sent back no more often than the plans accept; says so if not. */
bool tally_alarms_kept(const struct tally *t);
/* What no seed has met, a line each; returns how many. Rare things need many seeds: ask after a long run alone. */
size_t tally_print_gaps(const struct tally *t);
