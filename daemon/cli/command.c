#include "command.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct command commands[] = {
    {
	.name = "list",
	.run = command_list,
	.summary = "all services and rollouts, and the plan files that are wrong",
	.text = "Services first; then live rollouts and the last ended one of each other name, those that move a\n"
		"service's alias among them as SERVICE.ALIAS. Below them the plan files that could not be taken in,\n"
		"with all their errors.\n",
	.example = "rolloutctl list\n"
		   "  rolloutctl list -o json | jq -r '.rollouts[] | select(.live) | .name'",
    },
    {
	.name = "status",
	.run = command_status,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.usage = "NAME",
	.summary = "one rollout or service in full",
	.text = "Of a rollout: phase and its reason, weights, steps, what the metrics say and why, what the alias\n"
		"holds. Of a service: each alias, each stage with its URL, and what differs from the plan.\n",
	.example = "rolloutctl status hello-prod",
    },
    {
	.name = "watch",
	.run = command_watch,
	.max_args = 1,
	.named = true,
	.usage = "[NAME]",
	.summary = "the same, redrawn as it happens",
	.text =
	    "With a NAME it ends by itself when the rollout ends or the service is as declared, with the exit code\n"
	    "of 'wait'; a pause or a block does not end it. Without one it shows everything until it is\n"
	    "interrupted. Where stdout is not a terminal it prints one line for each change; with -o json one\n"
	    "event a line and, at the end, the rollout.\n",
	.example = "rolloutctl watch hello-prod",
    },
    {
	.name = "events",
	.run = command_events,
	.max_args = 1,
	.named = true,
	.options = OPTION_FOLLOW | OPTION_AFTER | OPTION_LIMIT,
	.usage = "[NAME] [-f] [--after ID] [--limit N]",
	.summary = "what happened, and with -f what happens",
	.text = "The newest events, oldest first: 100, or as many as --limit says. --after gives those that follow an\n"
		"id. -f goes on until it is interrupted, also over a restart of the daemon, and misses nothing.\n"
		"Those of a service have its rollouts' among them. With -o json each event has its id; -f then\n"
		"prints one event a line.\n",
	.example = "rolloutctl events hello-prod -f",
    },
    {
	.name = "history",
	.run = command_history,
	.max_args = 1,
	.named = true,
	.options = OPTION_LIMIT,
	.usage = "[NAME] [--limit N]",
	.summary = "earlier attempts, how they ended and why",
	.text = "Of that name, or of all names. Newest first; 20, or as many as --limit says.\n",
	.example = "rolloutctl history hello-prod",
    },
    {
	.name = "explain",
	.run = command_explain,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_ATTEMPT,
	.usage = "NAME [--attempt N]",
	.summary = "what a rollout did and why, in plain words with the numbers",
	.text = "What was rolled out by which plan, how long each weight was held and what both versions served in\n"
		"that time, what was judged on which numbers, what operators did, what went wrong, and what to do\n"
		"now. Of the attempt that 'status' shows, or of an earlier one. With -o json each sentence has its\n"
		"time and where its numbers are from.\n",
	.example = "rolloutctl explain hello-prod",
    },
    {
	.name = "report",
	.run = command_report,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_ATTEMPT | OPTION_FILE,
	.usage = "NAME [-o FILE|-] [--attempt N]",
	.summary = "the same as one HTML page with charts",
	.text = "One file without scripts that loads nothing from anywhere: to read, to send, to print. It is written\n"
		"to NAME-ATTEMPT.html unless -o says where; '-' is standard output. With -o json the record itself\n"
		"is printed: plan, events, every version of each metric period's counts, each judgement.\n",
	.example = "rolloutctl report hello-prod -o /tmp/hello.html",
    },
    {
	.name = "replay",
	.run = command_replay,
	.min_args = 1,
	.max_args = 1,
	.options = OPTION_ATTEMPT | OPTION_OF,
	.usage = "PLAN --of NAME [--attempt N]",
	.summary = "how another plan's analysis would have judged a rollout that took place",
	.text = "Goes over the times at which that rollout was judged, and judges what was known then by the analysis\n"
		"of the plan in that file, at the weights that were. '-' reads standard input. Nothing is changed.\n"
		"Exit code 3 when that plan would have failed it.\n",
	.example = "rolloutctl replay stricter.yaml --of hello-prod --attempt 3",
    },
    {
	.name = "validate",
	.run = command_validate,
	.min_args = 1,
	.max_args = -1,
	.local = true,
	.usage = "FILE...",
	.summary = "check plans, without a daemon",
	.text = "Prints every error as file:line:column, and for a good plan its steps with the time that they\n"
		"really take: with 'pace: evidence' each step also waits until its own metric periods have ended and\n"
		"settled. '-' reads standard input. Exit code 1 when any plan is wrong.\n",
	.example = "rolloutctl validate /etc/rolloutd/plans.d/*.yaml",
    },
    {
	.name = "simulate",
	.run = command_simulate,
	.min_args = 1,
	.max_args = 1,
	.local = true,
	.options = OPTION_SIMULATE,
	.usage = "FILE --rps R --stable-errors X --canary-errors Y [--runs N] [--seed S]",
	.summary = "how fast and how surely a plan would notice a bad version, without a daemon",
	.text =
	    "Runs the plan with the daemon's own engine against a simulated AWS with random traffic, many times, and\n"
	    "tells how the rollouts end, how long that takes, and how many requests the canary fails until then.\n"
	    "Nothing is asked of AWS. What cannot be simulated (hooks, alarms, publishing, approvals) is taken as\n"
	    "fine and named. Rates are written 20, 20/s, 3/m or 10/h; errors in percent of the requests. The same\n"
	    "seed gives the same output. '-' reads standard input. Exit code 0 however the rollouts end.\n",
	.example = "rolloutctl simulate hello.yaml --rps 20 --stable-errors 0.1% --canary-errors 5%",
    },
    {
	.name = "submit",
	.run = command_submit,
	.min_args = 1,
	.max_args = 1,
	.usage = "FILE",
	.summary = "hand a plan to the daemon",
	.text = "As if the file had been dropped into the plans folder. Says whether it started, supersedes a running\n"
		"rollout of its name, or is unchanged: the same content never runs twice by itself. '-' reads\n"
		"standard input. Needs to be root or a member of control.submit_group.\n",
	.example = "rolloutctl submit hello.yaml && rolloutctl wait hello-prod --timeout 1h",
    },
    {
	.name = "diff",
	.run = command_diff,
	.min_args = 1,
	.max_args = 1,
	.usage = "FILE",
	.summary = "what a plan would change in AWS, field by field; nothing is done",
	.text = "The daemon compares the plan with what AWS has, under its own keys. '+' would be made, '~' changed,\n"
		"'-' removed; '!' is in the way or not rolloutd's to change, and says what to do; '.' only has to be\n"
		"waited for. What depends on something that is not there yet is not in the list. Exit code 0 whether\n"
		"something differs or not; with -o json 'as_declared' tells. '-' reads standard input.\n",
	.example = "rolloutctl diff hello.yaml",
    },
    {
	.name = "doctor",
	.run = command_doctor,
	.max_args = 1,
	.usage = "[FILE]",
	.summary = "whether everything that a plan needs is there, and the cure where not",
	.text = "The daemon tries, under its own keys and changing nothing: which identity its keys are, from which\n"
		"source and until when, their rights, the function's state, aliases, permissions, metrics, alarms.\n"
		"Without FILE: the identity of every account of rolloutd.yaml. Exit code 1 when there is a problem;\n"
		"warnings alone give 0. '-' reads standard input.\n",
	.example = "rolloutctl doctor hello.yaml && rolloutctl submit hello.yaml",
    },
    {
	.name = "policy",
	.run = command_policy,
	.local = true,
	.options = OPTION_FEATURE | OPTION_PARTS,
	.usage = "[--feature NAME,...] [--function NAME,...] [--region R] [--account N] ...",
	.summary = "the least that IAM must allow the daemon, as a policy, without a daemon",
	.text = "For the features that are named, each with all that it needs; 'rollouts' when none is. What is not\n"
		"narrowed down is '*', as IAM's patterns are welcome everywhere: --function 'shop-*'. With a region\n"
		"the ARNs are of its partition (aws, aws-cn, aws-us-gov, ...).\n",
	.example = "rolloutctl policy --feature rollouts,alarms --function hello --region eu-west-1 "
		   "--account 123456789012",
    },
    {
	.name = "pause",
	.run = command_act,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_REASON,
	.usage = "NAME [--reason TEXT]",
	.summary = "hold the weight where it is",
	.text = "The canary is still watched, and a failure still rolls it back. A service that is paused changes\n"
		"nothing until it is resumed.\n",
	.example = "rolloutctl pause hello-prod --reason 'looking at latency'",
    },
    {
	.name = "resume",
	.run = command_act,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_REASON,
	.usage = "NAME [--reason TEXT]",
	.summary = "go on after a pause or a block",
	.text = "A blocked rollout takes what the alias holds now as its starting point, so look at it first:\n"
		"'rolloutctl status NAME' says who changed what.\n",
	.example = "rolloutctl resume hello-prod",
    },
    {
	.name = "promote",
	.run = command_act,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_REASON | OPTION_FULL,
	.usage = "NAME [--full] [--reason TEXT]",
	.summary = "start, approve, or take the next step now",
	.text = "Starts a rollout with 'start: manual', approves a step with 'approve: true', or takes the next step\n"
		"without waiting for its bake. --full sends all traffic to the new version now.\n",
	.example = "rolloutctl promote hello-prod --reason 'approved in CHG-1234'",
    },
    {
	.name = "rollback",
	.run = command_act,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_REASON,
	.usage = "NAME [--reason TEXT]",
	.summary = "all traffic back to the stable version",
	.text = "Also returns a succeeded rollout's alias to its former version.\n",
	.example = "rolloutctl rollback hello-prod --reason 'customers see errors'",
    },
    {
	.name = "abort",
	.run = command_act,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_REASON,
	.usage = "NAME [--reason TEXT]",
	.summary = "the same as rollback",
	.text = "",
	.example = "rolloutctl abort hello-prod",
    },
    {
	.name = "retry",
	.run = command_act,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_REASON | OPTION_DESPITE_ALARMS,
	.usage = "NAME [--reason TEXT] [--despite-alarms --reason TEXT]",
	.summary = "run the name's last plan again",
	.text = "Lifts the quarantine of a version that was rolled back. A rollout does not start while one of its\n"
		"alarms is in ALARM; with --despite-alarms it does, and such an alarm counts only once it was seen in\n"
		"another state.\n",
	.example = "rolloutctl retry hello-prod --reason 'the dependency is back'",
    },
    {
	.name = "forget",
	.run = command_act,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_REASON,
	.usage = "NAME [--reason TEXT]",
	.summary = "keep a service no longer; what AWS has stays as it is",
	.text = "Its rollouts that are under way go on by themselves. Its file may stay: it is taken in again when it\n"
		"changes, or by 'rolloutctl submit'.\n",
	.example = "rolloutctl forget hello --reason 'the team keeps it by hand now'",
    },
    {
	.name = "wait",
	.run = command_wait,
	.min_args = 1,
	.max_args = 1,
	.named = true,
	.options = OPTION_TIMEOUT,
	.usage = "NAME [--timeout D]",
	.summary = "until the rollout has ended, is paused or blocked; or the service is as declared",
	.text = "Waits for the newest attempt of the name, prints one line, and ends with 0 succeeded, 1 failed,\n"
		"3 rolled back, 4 paused or blocked, 5 timed out. A service has succeeded when it is as declared.\n"
		"A daemon that is restarted meanwhile is waited for, at most a minute. D is a length of time such as\n"
		"90s, 10m or 1h30m.\n",
	.example = "rolloutctl wait hello-prod --timeout 1h",
    },
    {
	.name = "reload",
	.run = command_reload,
	.summary = "look through the plans again, and compare services with AWS",
	.text = "Also reads AWS keys anew. The same as 'systemctl reload rolloutd'. The configuration is read at the\n"
		"daemon's start only.\n",
	.example = "rolloutctl reload",
    },
    {
	.name = "version",
	.run = command_version,
	.summary = "the versions of rolloutctl and of the daemon",
	.text = "'rolloutctl --version' prints its own alone and asks no daemon.\n",
	.example = "rolloutctl version",
    },
    {
	.name = "help",
	.run = command_help,
	.max_args = 1,
	.local = true,
	.usage = "[COMMAND]",
	.summary = "this, or the help of one command",
	.text = "",
	.example = "rolloutctl help wait",
    },
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < array_len(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

const struct command *command_nearest(const char *name)
{
	unsigned best = 3; /* farther than that is another word */
	const struct command *nearest = NULL;

	for (size_t i = 0; i < array_len(commands); i++) {
		unsigned distance = text_distance(name, commands[i].name, best);

		/* A word that has nothing in common with a short command is near it by its length alone. */
		if (distance < best && distance < strlen(commands[i].name)) {
			best = distance;
			nearest = &commands[i];
		}
	}
	return nearest;
}

static void print_common_options(void)
{
	fputs("Options of every command:\n"
	      "  -s, --socket PATH        the control socket; or ROLLOUTD_SOCKET; default /run/rolloutd/control.sock\n"
	      "  -o, --output table|json  json prints what the API says, see docs/openapi.yaml\n"
	      "  -h, --help               the help of the command\n",
	      stdout);
}

static void print_program_help(void)
{
	fputs("rolloutctl looks at and commands rolloutd, which keeps AWS Lambda functions as declared and moves their "
	      "aliases\n"
	      "to new versions step by step.\n"
	      "\n"
	      "usage: rolloutctl COMMAND [ARGUMENT] [OPTION]...\n"
	      "\n",
	      stdout);
	for (size_t i = 0; i < array_len(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	putchar('\n');
	print_common_options();
	fputs("  -V, --version            rolloutctl's version\n"
	      "\n"
	      "Exit codes: 0 done (wait: succeeded), 1 refused or failed, 2 wrong usage, 3 rolled back,\n"
	      "4 paused or blocked, 5 timed out, 6 the daemon cannot be reached.\n"
	      "\n"
	      "Example:\n"
	      "  rolloutctl watch hello-prod\n",
	      stdout);
}

static void print_usage(FILE *out, const struct command *c)
{
	fprintf(out, "usage: rolloutctl %s%s%s\n", c->name, c->usage ? " " : "", c->usage ? c->usage : "");
}

void command_print_usage(const struct command *c)
{
	print_usage(stderr, c);
}

static void print_own_options(const struct command *c)
{
	static const struct {
		enum option_bit bit;
		const char *text;
	} lines[] = {
	    {OPTION_REASON, "  -r, --reason TEXT        why; kept with the record\n"},
	    {OPTION_FULL, "      --full               all traffic to the new version, now\n"},
	    {OPTION_DESPITE_ALARMS, "      --despite-alarms     start although alarms are in ALARM; needs --reason\n"},
	    {OPTION_TIMEOUT, "  -t, --timeout D          give up after that time, with exit code 5\n"},
	    {OPTION_FOLLOW, "  -f, --follow             go on with what happens\n"},
	    {OPTION_AFTER, "      --after ID           what came after that event\n"},
	    {OPTION_LIMIT, "  -n, --limit N            at most that many, 1 to 1000\n"},
	    {OPTION_ATTEMPT, "      --attempt N          that attempt rather than the one that 'status' shows\n"},
	    {OPTION_OF, "      --of NAME            the rollout that took place\n"},
	    {OPTION_FEATURE, "      --feature NAME,...   what the daemon is to do, see below; may be repeated\n"},
	    {OPTION_PARTS, "      --function NAME,...  the functions that are rolled out\n"
			   "      --hook NAME,...      the functions that hooks invoke\n"
			   "      --region R           such as eu-west-1\n"
			   "      --account N          the account's twelve digits\n"
			   "      --api ID,...         APIs that exist\n"
			   "      --role NAME          the role that a function is created with\n"
			   "      --bucket NAME,...    where code comes from\n"
			   "      --repository NAME,... where images come from\n"},
	    {OPTION_SIMULATE, "      --rps R              requests to the alias: 20, 20/s, 3/m, 10/h\n"
			      "      --stable-errors X    share of the stable version's requests that fail: 0.1%\n"
			      "      --canary-errors Y    share of the canary's\n"
			      "      --runs N             rollouts, 1 to 10000; 200 if not given\n"
			      "      --seed S             of what is drawn by chance; 1 if not given\n"},
	};

	if (c->options == 0)
		return;
	fputs("Options:\n", stdout);
	for (size_t i = 0; i < array_len(lines); i++)
		if (c->options & lines[i].bit)
			fputs(lines[i].text, stdout);
	putchar('\n');
	if (c->options & OPTION_FEATURE)
		policy_print_features();
}

void command_print_help(const struct command *c)
{
	if (!c) {
		print_program_help();
		return;
	}
	printf("rolloutctl %s: %s\n\n", c->name, c->summary);
	print_usage(stdout, c);
	printf("\n%s%s", c->text, c->text[0] ? "\n" : "");
	print_own_options(c);
	print_common_options();
	printf("\nExample:\n  %s\n", c->example);
}
